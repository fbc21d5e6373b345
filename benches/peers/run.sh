#!/usr/bin/env bash
# Measures inner steps and the codec beside PyTorch, and aggregation beside byzfl, in a virtual environment of its own;
# writes results/training/{cpu,codec,aggregation}.md; about 20 minutes on two cores. PyTorch's wheel takes some gigabytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

environment=target/peers
if [ ! -x "$environment/bin/python" ]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --requirement benches/peers/requirements.txt
  "$environment/bin/pip" install --quiet --no-deps --requirement benches/peers/byzfl.txt
fi
cargo build --release --locked
"$environment/bin/python" benches/peers/training.py --out results/training/cpu.md "$@"
"$environment/bin/python" benches/peers/codec.py --out results/training/codec.md
"$environment/bin/python" benches/peers/aggregation.py --out results/training/aggregation.md
