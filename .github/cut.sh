#!/usr/bin/env bash
# Prints FILE in about BYTES at most: what is too long loses its middle, as Pulumi says last what
# came of it.
# usage: cut.sh FILE BYTES
set -euo pipefail

file=$1 bytes=$2
size=$(wc -c <"$file")
if [ "$size" -le "$bytes" ]; then
  cat "$file"
  exit
fi
half=$((bytes / 2))
# A character that the cut went through is dropped.
{ head --bytes "$half" "$file" | iconv -c -f UTF-8 -t UTF-8; } || true
echo
echo
echo "... $((size - 2 * half)) of $size bytes are left out here: the run has all of them ..."
echo
{ tail --bytes "$half" "$file" | iconv -c -f UTF-8 -t UTF-8; } || true
