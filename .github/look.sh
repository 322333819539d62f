#!/usr/bin/env bash
# Runs a command: what it says into found/NAME.txt, its exit code into found/NAME.code. Never fails.
# usage: look.sh NAME COMMAND...
set -euo pipefail

mkdir -p found
code=0
"${@:2}" >"found/$1.txt" 2>&1 || code=$?
echo "$code" >"found/$1.code"
