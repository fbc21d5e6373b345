#!/usr/bin/env bash
# Makes results/attacks: who gets through, at which price, from the sweeps in `scenarios/attacks/` and the two Gauntlet
# scenarios. It took some forty minutes on two cores that had other work, too. Names of sweeps as arguments make only these.
set -euo pipefail
cd "$(dirname "$0")/.."

program=${SWARMLOCO:-target/release/swarmloco}
[ -n "${SWARMLOCO:-}" ] || cargo build --release --locked
for sweep in "${@:-gauntlet budget overlap holes attacked defences}"; do
  for name in $sweep; do
    "$program" sweep "scenarios/attacks/$name.yaml" --out "results/runs/attacks-$name" --overwrite --quiet
    out=results/attacks/$name
    rm -rf "$out"
    mkdir -p "$out"
    cp -r "results/runs/attacks-$name/"{summary.md,statistics.parquet,cells.parquet,figures} "$out/"
  done
done
for scenario in gauntlet-attacked gauntlet-paper; do
  "$program" run "scenarios/$scenario.yaml" --out "results/runs/$scenario" --overwrite --quiet
  out=results/attacks/$scenario
  rm -rf "$out"
  mkdir -p "$out/figures"
  cp "results/runs/$scenario/summary.md" "$out/"
  cp "results/runs/$scenario/figures/"{loss-rounds,score,rating,pay}.svg "$out/figures/"
done
