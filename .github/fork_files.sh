#!/usr/bin/env bash
# Puts the stack files, pins and pages of the checkout THEIRS in the place of those of this one, and
# nothing that is a program; then THEIRS goes.
# usage: fork_files.sh THEIRS
set -euo pipefail

theirs=$1
data=(':(glob)Pulumi*.yaml' ':(glob)*.pem' ':(glob)**/*.html' ':(glob)infra/pins/*.json'
  ':(glob)components/firewall/*.json')

git ls-files -z -- "${data[@]}" | xargs -0 --no-run-if-empty rm -f --
git -C "$theirs" ls-files -z -- "${data[@]}" |
  while IFS= read -r -d '' file; do
    # A link could lead out of the checkout.
    if [ -f "$theirs/$file" ] && [ ! -L "$theirs/$file" ]; then
      mkdir -p "$(dirname "$file")"
      cp --no-dereference -- "$theirs/$file" "$file"
      git add -- "$file"
    fi
  done
rm -rf "$theirs"
