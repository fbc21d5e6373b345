#!/usr/bin/env bash
# Measures inner steps beside PyTorch, in a virtual environment of its own, and writes results/training/cpu.md; about 15
# minutes on two cores. PyTorch's wheel takes some gigabytes.
set -euo pipefail
cd "$(dirname "$0")/../.."

environment=target/peers
if [ ! -x "$environment/bin/python" ]; then
  python3 -m venv "$environment"
  "$environment/bin/pip" install --quiet --requirement benches/peers/requirements.txt
fi
cargo build --release --locked
"$environment/bin/python" benches/peers/training.py --out results/training/cpu.md "$@"
"$environment/bin/python" benches/peers/codec.py --out results/training/codec.md
