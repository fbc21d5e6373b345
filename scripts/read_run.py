# /// script
# requires-python = ">=3.10"
# dependencies = ["matplotlib==3.11.2", "polars==2.1.0"]
# ///
"""Reads a run directory with polars and draws its loss figure again: `read_run.py DIR [FIGURE.svg]`.

The cells (`# %%`) also run one by one in an editor or in Jupyter. Columns and units: results/README.md. `uv run` and
`pipx run` bring the libraries that are named above; so does `pip install`.
"""

# %% The run: the manifest says what was run, the tables what came out.
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt
import polars as pl

arguments = sys.argv[1:] if sys.argv[0].endswith("read_run.py") else []
run = Path(arguments[0] if arguments else "results/runs/quickstart-seed1")
figure_path = Path(arguments[1]) if len(arguments) > 1 else run / "loss-rounds-again.svg"
if not (run / "manifest.json").is_file():
    sys.exit(f"read_run: `{run}` is not a run directory: it has no `manifest.json`")
manifest = json.loads((run / "manifest.json").read_text())
rounds = pl.read_parquet(run / "rounds.parquet")
peers = pl.read_parquet(run / "peers.parquet")
evaluations = pl.read_parquet(run / "evaluations.parquet")

# %% Where it ended.
last = rounds.row(-1, named=True)
final_loss = evaluations["validation_loss"][-1] if evaluations.height else None
print(f"{manifest['scenario']['name']}, seed {manifest['seed']}: {rounds.height} rounds")
print(f"validation loss: {final_loss}")
print(f"simulated time: {last['time_s'] / 3600:.2f} h, uploaded: {last['bytes_up'] / 1e9:.2f} GB")

# %% What became of the peers' contributions.
fates = peers.group_by("class", "outcome").agg(pl.len().alias("contributions")).sort("class", "outcome")
print(fates.write_csv(separator="\t"), end="")

# %% The figure: validation loss by round, with the losses that are known beforehand.
figure, axes = plt.subplots(figsize=(7.6, 4.4), layout="constrained")
axes.plot(evaluations["round"], evaluations["validation_loss"], marker=".", label="validation loss")
for name, label, dash in [("unigram", "unigram entropy", (0, (8, 6))), ("floor", "entropy rate", (0, (3, 3)))]:
    if (loss := manifest["references"].get(name)) is not None:
        axes.axhline(loss, color="0.3", linewidth=1, linestyle=dash, label=f"{label} {loss:.2f}")
axes.set(xlabel="outer steps", ylabel="validation loss [nats/token]", title="Validation loss by round")
axes.legend(frameon=False)
axes.grid(alpha=0.3)
figure.savefig(figure_path)
print(figure_path)
