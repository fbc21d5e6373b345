"""Robust aggregation beside byzfl on a CPU, one thread each, in turns; writes a table with the ratios.

byzfl gets 20 vectors of 2^20 values: normal noise, and what 64 of each 4096 of them leave when the rest is zero, on torch
tensors and on numpy arrays; the faster of the two counts. It has no sign majority: that is three torch operations.
"""

import argparse
import json
import os
import statistics
import subprocess
import time
from pathlib import Path

os.environ |= {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

import torch  # noqa: E402

import byzfl_rules as byzfl  # noqa: E402

PROGRAM = Path(__file__).parent.parent.parent / "target/release/swarmloco"
PEERS, F, COORDINATES, CHUNK, K = 20, 4, 1 << 20, 4096, 64

parser = argparse.ArgumentParser()
parser.add_argument("--turns", type=int, default=3)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()
torch.set_num_threads(1)
torch.manual_seed(1)

dense = torch.randn(PEERS, COORDINATES)
chunks = dense.view(-1, CHUNK)
places = chunks.abs().topk(K, dim=1).indices
decoded = torch.zeros_like(chunks).scatter_(1, places, chunks.gather(1, places)).view(PEERS, COORDINATES)


def sign_majority(vectors):
    return torch.as_tensor(vectors).sign().sum(0).sign()


def after_mixing(rule):
    return lambda vectors: rule(byzfl.NNM(F)(vectors))


theirs = {
    "average": byzfl.Average(),
    "median": byzfl.Median(),
    "trimmed_mean": byzfl.TrMean(F),
    "mean_around_median": byzfl.Meamed(F),
    "sign_majority": sign_majority,
    "krum": byzfl.Krum(F),
    "multi_krum": byzfl.MultiKrum(F),
    "geometric_median": byzfl.GeometricMedian(nu=0.1, T=3),
    "centred_clipping": lambda vectors: byzfl.CenteredClipping(L=1, tau=100.0)(vectors),
    "nearest_neighbours, average": after_mixing(byzfl.Average()),
    "nearest_neighbours, trimmed_mean": after_mixing(byzfl.TrMean(F)),
    "nearest_neighbours, krum": after_mixing(byzfl.Krum(F)),
}


def seconds(rule, vectors):
    # Of the processor: a call that takes long is interrupted by others, which is not its fault.
    start = time.process_time()
    rule(vectors)
    return time.process_time() - start


times = {name: {kind: ([], [], []) for kind in ("dense", "sparse")} for name in theirs}
for turn in range(args.turns + 1):
    command = [PROGRAM, "bench", "aggregation", "--peers", str(PEERS), "--f", str(F), "--format", "json"]
    ours = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert ours["params"] == COORDINATES
    for rates in ours["rules"]:
        for kind, vectors in (("dense", dense), ("sparse", decoded)):
            us, on_torch, on_numpy = times[rates["name"]][kind]
            rule = theirs[rates["name"]]
            measured = rates[f"{kind}_seconds"], seconds(rule, vectors), seconds(rule, vectors.numpy())
            if turn > 0:  # the first turn warms everything up
                for values, value in zip((us, on_torch, on_numpy), measured):
                    values.append(value)

cpu = next(line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
share = 100 * K / CHUNK
lines = [
    "# Robust aggregation",
    "",
    f"{PEERS} contributions of {COORDINATES:,} coordinates, f = {F}, one thread, {cpu}; median of {args.turns} turns.",
    f"Payloads: {K} of each {CHUNK} coordinates ({share:.2f} %), chosen independently by every peer; byzfl gets them as dense vectors.",
    f"byzfl 0.0.11 on torch {torch.__version__} or on numpy, whichever is faster (t or n), in time of the processor (this",
    "engine's is by the clock, the median of many calls). Made by `benches/peers/run.sh`, or this",
    "table alone by `target/peers/bin/python benches/peers/aggregation.py --out results/training/aggregation.md`.",
    "",
    "| rule | dense, this engine | byzfl | ratio | payloads, this engine | byzfl | ratio |",
    "|---|--:|--:|--:|--:|--:|--:|",
]
for name, kinds in times.items():
    cells = []
    for us, on_torch, on_numpy in kinds.values():
        us, on_torch, on_numpy = (1e3 * statistics.median(values) for values in (us, on_torch, on_numpy))
        them, letter = min((on_torch, "t"), (on_numpy, "n"))
        cells.append(f"{us:.1f} ms | {them:.0f} ms {letter} | {them / us:.1f}")
    lines.append(f"| {name} | {' | '.join(cells)} |")
lines += [
    "",
    "byzfl has no sign majority: three torch operations stand in its column. The average is no robust rule and is bound by",
    "memory on both sides. Norms of contributions are known since they were decoded, so centred clipping with one iteration",
    "costs one pass.",
]
args.out.parent.mkdir(parents=True, exist_ok=True)
args.out.write_text("\n".join(lines) + "\n")
print(args.out)
