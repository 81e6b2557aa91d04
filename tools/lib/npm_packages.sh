#!/usr/bin/env bash
# What a test needs from npm, exactly as its package-lock.json says, into a folder of the build; nothing if it is there.
set -euo pipefail

if [ "$#" -ne 2 ]; then
  echo "usage: tools/lib/npm_packages.sh FOLDER-OF-PACKAGE.JSON BUILD-FOLDER" >&2
  exit 2
fi
from=$1
to=$2
readonly retries=3

# Written last: an install that was interrupted is done again.
done_mark=$to/node_modules/.installed-from
if cmp -s "$from/package-lock.json" "$done_mark"; then
  exit 0
fi
command -v npm >/dev/null || {
  echo "npm is not installed; tools/test installs it" >&2
  exit 1
}
mkdir -p "$to"
cp "$from/package.json" "$from/package-lock.json" "$to/"
(cd "$to" && npm ci --no-audit --no-fund --loglevel=error --fetch-retries="$retries")
cp "$from/package-lock.json" "$done_mark"
