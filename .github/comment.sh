#!/usr/bin/env bash
# Puts FILE into one comment of a pull request, and puts the next one in its place.
# usage: comment.sh PULL_REQUEST KEY FILE     (GH_TOKEN, GITHUB_REPOSITORY)
set -euo pipefail

pull_request=$1 key=$2 file=$3
marker="<!-- edgefleet:$key -->"
comments="repos/$GITHUB_REPOSITORY/issues/$pull_request/comments"

body=$(mktemp)
trap 'rm -f "$body"' EXIT
printf '%s\n' "$marker" | cat - "$file" >"$body"

mine=$(gh api "$comments" --paginate \
  --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id")
if [ -n "$mine" ]; then
  gh api --silent --method PATCH "repos/$GITHUB_REPOSITORY/issues/comments/${mine%%$'\n'*}" \
    --field "body=@$body"
else
  gh api --silent --method POST "$comments" --field "body=@$body"
fi
