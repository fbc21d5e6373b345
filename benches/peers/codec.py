"""The codec path of a round beside reference-style PyTorch on a CPU, one thread each; writes a table with the ratio.

Reference style: tensor by tensor, chunks by reshape, `topk` of the magnitudes, quantisation by masks and a lookup of
means, packing by shifts; the receiver unpacks, looks up, clips to the median norm and adds into a dense tensor.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import torch

HERE = Path(__file__).parent
PROGRAM = HERE.parent.parent / "target/release/swarmloco"
CHUNK, K, DECAY, BINS, RANGE, PEERS = 64, 64, 0.95, 4, 6.0, 20

parser = argparse.ArgumentParser()
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()
torch.set_num_threads(1)
torch.manual_seed(1)

WIDTH, KV, HIDDEN, VOCABULARY = 768, 384, 2048, 256
layer = [(WIDTH, WIDTH), (KV, WIDTH), (KV, WIDTH), (WIDTH, WIDTH), (HIDDEN, WIDTH), (HIDDEN, WIDTH), (WIDTH, HIDDEN)]
shapes = [(VOCABULARY, WIDTH), *layer, *layer, (VOCABULARY, WIDTH)]


def to_chunks(tensor):
    rows, columns = tensor.shape
    blocks = tensor.view(rows // CHUNK, CHUNK, columns // CHUNK, CHUNK)
    return blocks.permute(0, 2, 1, 3).reshape(-1, CHUNK * CHUNK)


def from_chunks(chunks, shape):
    rows, columns = shape
    blocks = chunks.view(rows // CHUNK, columns // CHUNK, CHUNK, CHUNK)
    return blocks.permute(0, 2, 1, 3).reshape(rows, columns)


def pack(indices):
    pairs = indices.view(-1, 2)
    first, second = pairs[:, 0], pairs[:, 1]
    return torch.stack((first & 0xFF, (first >> 8) | ((second & 0xF) << 4), second >> 4), dim=1).to(torch.uint8)


def unpack(packed):
    a, b, c = packed.to(torch.int64).unbind(1)
    return torch.stack((a | ((b & 0xF) << 8), (b >> 4) | (c << 4)), dim=1).view(-1)


def quantize(values):
    shift = values.mean()
    centred = values - shift
    deviation = centred.norm() / (centred.numel() - 1) ** 0.5
    scale = RANGE * deviation / BINS
    codes = ((centred / scale) + BINS // 2).round().clamp(0, BINS - 1).to(torch.uint8)
    sums = torch.zeros(BINS).scatter_add_(0, codes.view(-1).long(), centred.view(-1))
    counts = torch.zeros(BINS).scatter_add_(0, codes.view(-1).long(), torch.ones(codes.numel()))
    return codes, torch.where(counts > 0, sums / counts, 0.0), shift


def encode(start, trained, residuals):
    payload = []
    for begin, end, residual in zip(start, trained, residuals):
        residual.mul_(DECAY).add_(begin - end)
        chunks = to_chunks(residual)
        indices = chunks.abs().topk(K, dim=1, sorted=False).indices.sort(dim=1).values
        values = chunks.gather(1, indices)
        codes, lookup, shift = quantize(values)
        sent = torch.zeros_like(chunks).scatter_(1, indices, lookup[codes.long()] + shift)
        residual.sub_(from_chunks(sent, residual.shape))
        payload.append((pack(indices), codes, lookup, shift))
    return payload


def apply(theta, payloads):
    for place, parameter in enumerate(theta):
        decoded = []
        for payload in payloads:
            packed, codes, lookup, shift = payload[place]
            decoded.append((unpack(packed).view(-1, K), lookup[codes.long()] + shift))
        norms = torch.stack([values.norm() for _, values in decoded])
        median = norms.median()
        total = torch.zeros(parameter.numel() // CHUNK**2, CHUNK**2)
        for (indices, values), norm in zip(decoded, norms):
            total.scatter_add_(1, indices, values * (median / norm).clamp(max=1.0))
        parameter.sub_(from_chunks(total / len(payloads), parameter.shape), alpha=0.65)


def fastest(call, repeats=5):
    call()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


tensors = lambda: [torch.randn(shape) for shape in shapes]
start, trained, residuals = tensors(), tensors(), [torch.zeros(shape) for shape in shapes]
payloads = [encode(tensors(), tensors(), [torch.zeros(shape) for shape in shapes]) for _ in range(PEERS)]
rows = {"encode": ([], []), "apply": ([], [])}
copies = []
for _ in range(args.rounds):
    theirs = {"encode": fastest(lambda: encode(start, trained, residuals)), "apply": fastest(lambda: apply(start, payloads))}
    command = [PROGRAM, "bench", "codec", "--format", "json", "--peers", str(PEERS)]
    ours = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    copies.append(ours["copy_seconds"])
    for name, (us, them) in rows.items():
        us.append(ours[f"{name}_seconds"])
        them.append(theirs[name])
names = {"encode": "pseudo-gradient to payload", "apply": f"{PEERS} payloads to θ(t+1)"}
lines = [
    "# The codec path of a round",
    "",
    f"{ours['params'] / 1e6:.1f} M parameters, 64 of each 64 × 64 block, 2 bits, {PEERS} payloads, one thread; PyTorch {torch.__version__} in the reference's style.",
    f"A copy of the flat buffer takes {1e3 * statistics.median(copies):.1f} ms. Made by `benches/peers/run.sh`.",
    "",
    "| | this engine | PyTorch | ratio | bytes of the buffer a second | of a copy's |",
    "|---|--:|--:|--:|--:|--:|",
]
for name, (us, them) in rows.items():
    us, them = statistics.median(us), statistics.median(them)
    rate = 4e-9 * ours["params"] / us
    share = statistics.median(copies) / us
    lines.append(f"| {names[name]} | {1e3 * us:.1f} ms | {1e3 * them:.0f} ms | {them / us:.1f} | {rate:.1f} GB/s | {100 * share:.0f} % |")
args.out.parent.mkdir(parents=True, exist_ok=True)
args.out.write_text("\n".join(lines) + "\n")
print(args.out)
