#!/usr/bin/env bash
# Does scripts/read_run.py read a run (the directory given) as the program wrote it? Its libraries, as pinned in its
# header, come into target/read-run; without Python, or where they cannot be brought, says so and is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

run=$1
environment=target/read-run
mapfile -t libraries < <(sed -n 's/^# dependencies = //p' scripts/read_run.py | grep -o '[a-z]*==[0-9.]*')
skip() { echo "check-read-run: skipped, the Python example was not run: $1" >&2; exit 0; }
if [ "$(cat "$environment/complete" 2>/dev/null)" != "${libraries[*]}" ]; then
  python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null || skip "no Python 3.10 or newer"
  python3 -m venv --clear "$environment" || skip "python3 has no venv"
  "$environment/bin/pip" install --quiet "${libraries[@]}" || skip "cannot install ${libraries[*]}"
  echo "${libraries[*]}" >"$environment/complete"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$environment/bin/python" scripts/read_run.py "$run" "$work/loss.svg" >"$work/said.txt"
cat "$work/said.txt"
grep -q '</svg>' "$work/loss.svg"
# The loss in the program's own figure is the one that was read.
read_loss=$(sed -n 's/^validation loss: //p' "$work/said.txt")
grep -q "validation loss, $(printf %.3f "$read_loss") at the end" "$run/figures/loss-rounds.svg"
# What is no run is refused with a sentence.
if "$environment/bin/python" scripts/read_run.py "$work" 2>"$work/refused.txt"; then exit 1; fi
grep -q 'is not a run directory' "$work/refused.txt"
