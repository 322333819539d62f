#!/usr/bin/env bash
# Writes a pull request's two comments from the files in parts/: render.md, and for each stack
# STACK.txt with what `pulumi preview` printed and STACK.code with its exit code. What isn't there
# is said to be missing, so that no older comment stands for it.
# usage: comment.sh   (GH_TOKEN, GITHUB_REPOSITORY, PULL_REQUEST, COMMIT, RUN, STACKS)
set -euo pipefail

comments="repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments"
made="For commit \`${COMMIT:0:12}\`, by [this run]($RUN)."
room=60000 # bytes; GitHub takes 65,536 characters
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

put() { # KEY: into one comment, in the place of the one before
  local marker="<!-- edgefleet:$1 -->" mine
  printf '%s\n' "$marker" | cat - "$work/$1" >"$work/body"
  mine=$(gh api "$comments" --paginate \
    --jq ".[] | select(.user.type == \"Bot\" and (.body | startswith(\"$marker\"))) | .id")
  if [ -n "$mine" ]; then
    gh api --silent --method PATCH \
      "repos/$GITHUB_REPOSITORY/issues/comments/${mine%%$'\n'*}" --field "body=@$work/body"
  else
    gh api --silent --method POST "$comments" --field "body=@$work/body"
  fi
}

{
  echo "$made"
  echo
  if [ -s parts/render.md ]; then
    cat parts/render.md
  else
    echo "### This can't be rendered"
    echo
    echo "The rendering didn't come to its end: the run says why."
  fi
} >"$work/render"

# shellcheck disable=SC2153
mapfile -t stacks < <(grep -o '"stack": *"[^"]*"' <<<"$STACKS" | cut -d'"' -f4)

# Those that need little leave the rest of the room to the others.
declare -A given
left=$room count=${#stacks[@]}
while read -r size stack; do
  share=$((left / count))
  given[$stack]=$((size < share ? size : share))
  left=$((left - given[$stack])) count=$((count - 1))
done < <(for stack in "${stacks[@]}"; do
  size=0
  [ ! -e "parts/$stack.txt" ] || size=$(wc -c <"parts/$stack.txt")
  echo "$size $stack"
done | sort -n)

{
  echo "### What \`pulumi preview\` says"
  echo
  echo "$made"
  [ ${#stacks[@]} -gt 0 ] || echo "
No stack could be listed: the files are wrong, or there are none. The run says more."
  for stack in "${stacks[@]}"; do
    echo
    if [ ! -e "parts/$stack.code" ]; then
      echo "**\`$stack\`: no preview**: its job didn't come to its end."
      continue
    fi
    if [ "$(cat "parts/$stack.code")" = 0 ]; then
      said="\`$stack\`"
    else
      said="❌ \`$stack\`: FAILED"
    fi
    echo "<details><summary>$said</summary>"
    echo
    echo '~~~~~~~~diff'
    .github/cut.sh "parts/$stack.txt" "${given[$stack]}"
    echo
    echo '~~~~~~~~'
    echo
    echo '</details>'
  done
} >"$work/preview"

put render
put preview
