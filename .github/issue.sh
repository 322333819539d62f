#!/usr/bin/env bash
# Keeps one issue about the fleet, from the files in found/: for each look NAME.txt with what it said
# and NAME.code with its exit code. Opened where something was found or couldn't be looked at,
# written anew by each run, closed where nothing is found. A look that isn't there closes nothing.
# usage: issue.sh   (GH_TOKEN, GITHUB_REPOSITORY, COMMIT, RUN)
set -euo pipefail

issues="repos/$GITHUB_REPOSITORY/issues"
label=fleet-watch
marker="<!-- edgefleet:watch -->"
made="For commit \`${COMMIT:0:12}\`, by [this run]($RUN)."
room=12000 # bytes for each look; GitHub takes 65,536 characters for all
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

declare -A asks=(
  [drift]="fleet drift" [doctor]="fleet doctor --all"
  [expiries]="fleet expiries" [ranges]="fleet ranges --check" [images]="fleet images lock --check"
)
found=()
for name in drift doctor expiries ranges images; do
  if [ ! -e "found/$name.code" ]; then
    # Images are looked at where their digests are locked.
    [ "$name" = images ] && continue
    found+=("$name")
    echo "### \`${asks[$name]}\`: no answer"
    printf '\nIt did not come to its end: the run says why.\n\n'
    continue
  fi
  code=$(cat "found/$name.code")
  [ "$code" != 0 ] || continue
  found+=("$name")
  if [ "$code" = 1 ]; then
    echo "### \`${asks[$name]}\`"
  else
    echo "### \`${asks[$name]}\`: it could not look, or not everywhere"
  fi
  echo
  if [ "$name" = drift ]; then
    .github/cut.sh found/drift.txt "$room"
  else
    echo '~~~~~~~~'
    .github/cut.sh "found/$name.txt" "$room"
    echo '~~~~~~~~'
  fi
  echo
done >"$work/found"

open=$(gh api "$issues?state=open&labels=$label&per_page=100" \
  --jq ".[] | select(.user.type == \"Bot\" and ((.body // \"\") | startswith(\"$marker\"))) | .number")
open=${open%%$'\n'*}

if [ ${#found[@]} -eq 0 ]; then
  echo "nothing found"
  if [ -n "$open" ]; then
    printf 'Nothing is found any more. %s\n' "$made" >"$work/body"
    gh api --silent --method POST "$issues/$open/comments" --field "body=@$work/body"
    gh api --silent --method PATCH "$issues/$open" --field state=closed \
      --field state_reason=completed
  fi
  exit
fi

echo "found: ${found[*]}"
printf '%s\n%s It is written anew by each run, and closed when nothing is found.\n\n' \
  "$marker" "$made" | cat - "$work/found" >"$work/body"
if [ -n "$open" ]; then
  gh api --silent --method PATCH "$issues/$open" --field "body=@$work/body"
else
  gh label create "$label" --repo "$GITHUB_REPOSITORY" --force --color d4a72c \
    --description "What the scheduled look at the fleet found"
  gh api --silent --method POST "$issues" --field "title=The fleet isn't as it should be" \
    --field "body=@$work/body" --field "labels[]=$label"
fi
