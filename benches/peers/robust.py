"""What byzfl makes of random vectors, for tests/robust_byzfl.rs; --seed 1 made tests/fixtures/byzfl_aggregation.safetensors.

Half of the cases have f vectors that are not like the others. Tensors are named CASE.vectors, CASE.f, CASE.radius and
CASE.RULE; a rule behind `nearest_neighbours+` gets what NNM leaves.
"""

import argparse
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

import byzfl_rules as byzfl

parser = argparse.ArgumentParser()
parser.add_argument("--seed", type=int, required=True)
parser.add_argument("--out", type=Path, required=True)
args = parser.parse_args()
random = np.random.default_rng(args.seed)
tensors = {}
for case, (peers, dimension, f) in enumerate([(3, 5, 1), (7, 33, 2), (8, 16, 3), (20, 300, 4), (33, 70, 8), (20, 256, 0)]):
    vectors = (0.3 + random.standard_normal((peers, dimension))).astype(np.float32)
    if case % 2:
        vectors[random.permutation(peers)[:f]] *= np.float32(-20.0)
    radius = 0.8 * float(np.median(np.linalg.norm(vectors, axis=1)))
    rules = {
        "average": byzfl.Average(),
        "median": byzfl.Median(),
        "trimmed_mean": byzfl.TrMean(f),
        "mean_around_median": byzfl.Meamed(f),
        "krum": byzfl.Krum(f),
        "multi_krum": byzfl.MultiKrum(f),
        "geometric_median": byzfl.GeometricMedian(nu=0.1, T=3),
        "geometric_median_20": byzfl.GeometricMedian(nu=1e-3, T=20),
        "centred_clipping": byzfl.CenteredClipping(L=1, tau=radius),
        "centred_clipping_5": byzfl.CenteredClipping(L=5, tau=radius),
    }
    mixed = byzfl.NNM(f)(vectors)
    tensors |= {f"{case}.vectors": vectors, f"{case}.f": np.array([f], np.int64), f"{case}.radius": np.array([radius])}
    for name, rule in rules.items():
        tensors[f"{case}.{name}"] = np.asarray(rule(vectors), np.float32)
    for name in ("average", "median", "trimmed_mean", "geometric_median"):
        tensors[f"{case}.nearest_neighbours+{name}"] = np.asarray(rules[name](mixed), np.float32)
args.out.parent.mkdir(parents=True, exist_ok=True)
save_file(tensors, args.out)
args.out.chmod(0o644)
