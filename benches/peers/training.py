"""Tokens a second of this engine beside PyTorch, candle and the bound, in one run; writes a table with ratios.

Configurations take turns, round after round, so that a noisy machine is noisy for all of them; a cell is the median.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
PROGRAM = HERE.parent.parent / "target/release/swarmloco"
ONE_THREAD = dict(OMP_NUM_THREADS="1", MKL_NUM_THREADS="1", CANDLE_NUM_THREADS="1", RAYON_NUM_THREADS="1")

parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=os.cpu_count())
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--seconds", type=float, default=4)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()


def torch(model, batch, processes, threads, compiled):
    """Sum over processes that measure at the same time."""
    command = [sys.executable, HERE / "torch_steps.py", "--model", model, "--batch", str(batch)]
    command += ["--threads", str(threads), "--seconds", str(args.seconds)] + ["--compile"] * compiled
    environment = dict(os.environ, OMP_NUM_THREADS=str(threads), MKL_NUM_THREADS=str(threads))
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    workers = [subprocess.Popen(command, **pipes) for _ in range(processes)]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n", "PyTorch did not start"
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    return sum(float(worker.communicate()[0]) for worker in workers)


def ours(engine, model, batch, peers=16):
    command = [PROGRAM, "bench", "training", "--format", "json", "--engine", engine, "--batch", str(batch)]
    command += ["--model", model, "--peers", str(peers), "--threads", str(args.threads), "--seconds", str(args.seconds)]
    output = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ, **ONE_THREAD))
    return json.loads(output.stdout)


def medians(cells):
    """Every cell once a round, in turns."""
    values = {name: [] for name in cells}
    for _ in range(args.rounds):
        for name, measure in cells.items():
            values[name].append(measure())
            print(f"{name}: {values[name][-1]:.0f}", file=sys.stderr)
    return {name: statistics.median(of) for name, of in values.items()}


def tokens(engine, model, batch, peers=16):
    return lambda: ours(engine, model, batch, peers)["tokens_per_second"]


def processor():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


n = args.threads
widths = {}
for width in (64, 128, 256):
    model = f"width={width}"
    widths[width] = medians(
        {
            f"PyTorch eager, 1 process × {n} threads": lambda: torch(model, 12, 1, n, False),
            f"PyTorch eager, {n} processes × 1 thread": lambda: torch(model, 12, n, 1, False),
            f"torch.compile, 1 process × {n} threads": lambda: torch(model, 12, 1, n, True),
            f"torch.compile, {n} processes × 1 thread": lambda: torch(model, 12, n, 1, True),
            "candle, automatic differentiation": tokens("candle", model, 12),
            "this engine": tokens("fused", model, 12),
            "matrix products alone (bound)": tokens("products", model, 12),
        }
    )
peers = medians({count: tokens("fused", "", 12, count) for count in (1, 4, 16, 64)})
small = "layers=2,kv_heads=4,feed_forward=341,vocabulary=65"
crowd = medians({count: (lambda count=count: ours("fused", small, 16, count)["peer_steps_per_second"]) for count in (16, 256)})

version = subprocess.run(
    [sys.executable, "-c", "import torch; print(torch.__version__)"], capture_output=True, text=True, check=True
).stdout.strip()
lines = [
    "# Inner steps a second",
    "",
    f"{processor()}, {n} threads; PyTorch {version}. Median of {args.rounds} turns of {args.seconds:g} s. Made by `benches/peers/run.sh`.",
    "",
    "Reference work: a Llama of 4 layers, 4 heads, 2 kv heads, feed-forward 344/128 of the width, 256 tokens, context 64,",
    "batch 12, AdamW, f32; at width 128 it has 792 k parameters. PyTorch's processes train one peer each, the engine and",
    "candle 16 peers on all threads. Tokens a second of all together; in brackets, this engine over it.",
    "",
    "| | width 64 | width 128 | width 256 |",
    "|---|--:|--:|--:|",
]
for name in widths[128]:
    row = [f"{widths[w][name] / 1e3:.1f} k ({widths[w]['this engine'] / widths[w][name]:.2f})" for w in widths]
    lines.append(f"| {name} | {' | '.join(row)} |")
best = {w: max(value for name, value in widths[w].items() if "orch" in name) for w in widths}
row = [f"{widths[w]['this engine'] / best[w]:.2f}" for w in widths]
lines.append(f"| **this engine over the best PyTorch** | {' | '.join(row)} |")
lines += ["", "## Number of peers", "", "Width 128.", "", "| peers | tokens a second |", "|--:|--:|"]
lines += [f"| {count} | {value / 1e3:.1f} k |" for count, value in peers.items()]
lines += ["", "A model of 410,240 parameters (2 layers, width 128), batch 16 × 64, as in EXO Gym's examples.", ""]
lines += ["| peers | peer-steps a second |", "|--:|--:|"] + [f"| {count} | {value:.1f} |" for count, value in crowd.items()]
args.out.parent.mkdir(parents=True, exist_ok=True)
args.out.write_text("\n".join(lines) + "\n")
print(args.out)
