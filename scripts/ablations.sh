#!/usr/bin/env bash
# Makes results/ablations: each sweep named, or all in scenarios/ablations, with its summary, figures and tables; about
# five minutes a sweep on two cores. What is there already under results/runs/ablations is used.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${SWARMLOCO:-target/release/swarmloco}
[ -x "$program" ] || cargo build --release --locked
if [ $# -eq 0 ]; then
  for file in scenarios/ablations/*.yaml; do
    name=$(basename "$file" .yaml)
    [ "$name" = swarm ] || set -- "$@" "$name"
  done
fi
for name in "$@"; do
  sweep=results/runs/ablations/$name
  out=results/ablations/$name
  "$program" sweep "scenarios/ablations/$name.yaml" --out "$sweep" --resume
  rm -rf "$out"
  mkdir -p "$out"
  cp -r "$sweep"/{summary.md,figures,statistics.parquet,cells.parquet} "$out/"
done
