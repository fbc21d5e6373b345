#!/usr/bin/env bash
# Makes results/check/quickstart: the curves that `.ci/run` holds this program to. Of each run only what `check` reads.
set -euo pipefail
cd "$(dirname "$0")/.."

program=target/release/swarmloco
out=results/check/quickstart
cargo build --release --locked
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$program" sweep scenarios/quickstart.yaml --set rounds=8 --seeds 1..3 --out "$work/sweep" --quiet
rm -rf "$out"
mkdir -p "$out"
cp "$work/sweep/sweep.json" "$out/"
for run in "$work"/sweep/cells/*; do
  mkdir -p "$out/cells/$(basename "$run")"
  cp "$run"/{manifest.json,rounds.parquet,evaluations.parquet} "$out/cells/$(basename "$run")/"
done
