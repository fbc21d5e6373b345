#!/usr/bin/env bash
# Makes target/byzfl, where byzfl's aggregators run on numpy: without PyTorch and the plotting that the package also asks
# for, which its aggregators do not need. `cargo test --test robust_byzfl -- --include-ignored` compares with them.
set -euo pipefail
cd "$(dirname "$0")/../.."

environment=target/byzfl
if [ ! -e "$environment/complete" ]; then
  python3 -m venv --clear "$environment"
  "$environment/bin/pip" install --quiet --no-deps --requirement benches/peers/byzfl.txt
  touch "$environment/complete"
fi
