"""Writes tests/fixtures/transformers_logits.safetensors: what `transformers` makes of a model that the engine has written.

Its argument is a directory that the engine has written from the weights of pytorch_llama.safetensors (the test
`training_pytorch` writes it to where SWARMLOCO_MODEL says). Kept are the logits and the files that `transformers` read,
so that the test can hold the engine to both.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM
from transformers import __version__ as version

directory = Path(sys.argv[1])
fixtures = Path(__file__).parent.parent.parent / "tests/fixtures"
model = AutoModelForCausalLM.from_pretrained(directory, attn_implementation="eager")
tokens = load_file(fixtures / "pytorch_llama.safetensors")["batches"][0, :, :-1].long()
with torch.no_grad():
    logits = model(tokens).logits.contiguous()
target = fixtures / "transformers_logits.safetensors"
files = ("config.json", "model.safetensors")
read = {name: torch.frombuffer(bytearray((directory / name).read_bytes()), dtype=torch.uint8) for name in files}
save_file({"logits": logits, **read}, target, metadata={"transformers": version})
target.chmod(0o644)
print(target, tuple(logits.shape))
