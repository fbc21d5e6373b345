"""Writes tests/fixtures/pytorch_llama.safetensors: initial weights, 50 batches, and what PyTorch makes of them.

Tensors: `weights.NAME` and `gradient.NAME` (of the first batch, before clipping), `batches` [50, B, T + 1] and
`losses` [50], each before its AdamW step at a learning rate of 1e-2 with clipping to a norm of 1.
"""

from pathlib import Path

import torch
from safetensors.torch import save_file

from llama import Llama, adamw, sizes

STEPS, BATCH = 50, 4
shape = sizes("layers=2,width=32,heads=4,kv_heads=2,feed_forward=48,context=16,vocabulary=32")
torch.manual_seed(20261125)
torch.set_num_threads(1)
model = Llama(shape)
optimizer = adamw(model, lr=1e-2)
# A pattern that can be learnt, so that losses move: each token follows from the last, or is noise.
batches = torch.randint(shape.vocabulary, (STEPS, BATCH, shape.context + 1))
for at in range(1, shape.context + 1):
    pattern = (5 * batches[..., at - 1] + 3) % shape.vocabulary
    batches[..., at] = torch.where(torch.rand(STEPS, BATCH) < 0.9, pattern, batches[..., at])

out = {f"weights.{name}": value.detach().clone() for name, value in model.named_parameters()}
losses = []
for rows in batches:
    loss = model(rows)
    loss.backward()
    if not losses:
        out |= {f"gradient.{name}": value.grad.clone() for name, value in model.named_parameters()}
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    losses.append(loss.item())
out |= {"batches": batches.to(torch.int32), "losses": torch.tensor(losses, dtype=torch.float64)}
target = Path(__file__).parent.parent.parent / "tests/fixtures/pytorch_llama.safetensors"
save_file(out, target, metadata={"pytorch": torch.__version__})
target.chmod(0o644)
print(target, losses[0], losses[-1])
