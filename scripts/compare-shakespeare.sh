#!/usr/bin/env bash
# Makes results/shakespeare: SparseLoCo (H = 30 and 10), DiLoCo and DDP at equal tokens, 3 seeds each; about 12 minutes on
# two cores.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/fetch-corpus.sh
cargo build --release --locked
program=target/release/swarmloco
runs=()
for seed in 1 2 3; do
  for name in shakespeare shakespeare-diloco shakespeare-ddp; do
    out=results/runs/$name-seed$seed
    "$program" run "scenarios/$name.yaml" --seed "$seed" --out "$out" --overwrite
    runs+=("$out")
  done
  out=results/runs/shakespeare-h10-seed$seed
  "$program" run scenarios/shakespeare.yaml --seed "$seed" --out "$out" --overwrite --set name=shakespeare-h10 \
    --set rounds=120 --set protocol.inner_steps=10 --set evaluation.every=3 \
    --set protocol.inner_optimizer.adamw.learning_rate=4e-3
  runs+=("$out")
done
"$program" report "${runs[@]}" --out results/shakespeare
