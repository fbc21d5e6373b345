"""Inner steps of one peer in PyTorch: prints `ready`, waits for a line, measures, prints tokens a second."""

import argparse
import sys
import time

import torch

from llama import Llama, adamw, sizes

parser = argparse.ArgumentParser()
parser.add_argument("--model", default="")
parser.add_argument("--batch", type=int, default=12)
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seconds", type=float, default=5)
parser.add_argument("--compile", action="store_true")
args = parser.parse_args()

torch.set_num_threads(args.threads)
torch.set_num_interop_threads(1)
torch.manual_seed(1)
shape = sizes(args.model)
model = Llama(shape)
optimizer = adamw(model)
batches = torch.randint(shape.vocabulary, (16, args.batch, shape.context + 1))


def step(rows):
    loss = model(rows)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)


if args.compile:
    step = torch.compile(step)
for rows in batches[:8]:
    step(rows)
print("ready", flush=True)
sys.stdin.readline()
start, steps = time.perf_counter(), 0
while time.perf_counter() - start < args.seconds:
    step(batches[steps % len(batches)])
    steps += 1
print(steps * args.batch * shape.context / (time.perf_counter() - start))
