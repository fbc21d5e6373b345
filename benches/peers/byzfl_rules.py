"""byzfl's aggregators without the rest of the package, which needs torchvision and seaborn at import.

Where PyTorch is not installed, an empty stand-in lets the modules load: on numpy arrays they only ask it for its types.
"""

import importlib.machinery
import importlib.util
import sys
import types

try:
    import torch  # noqa: F401
except ImportError:
    torch, linalg = types.ModuleType("torch"), types.ModuleType("torch.linalg")
    torch.Tensor = type("Tensor", (), {})
    torch.linalg = linalg
    sys.modules.update({"torch": torch, "torch.linalg": linalg})

ROOT = importlib.machinery.PathFinder.find_spec("byzfl").submodule_search_locations[0]
for name in ("byzfl", "byzfl.aggregators"):
    package = types.ModuleType(name)
    package.__path__ = [ROOT + name.removeprefix("byzfl").replace(".", "/")]
    sys.modules[name] = package

from byzfl.aggregators.aggregators import (  # noqa: E402
    Average,
    CenteredClipping,
    GeometricMedian,
    Krum,
    Meamed,
    Median,
    MultiKrum,
    TrMean,
)
from byzfl.aggregators.preaggregators import NNM  # noqa: E402

__all__ = ["Average", "CenteredClipping", "GeometricMedian", "Krum", "Meamed", "Median", "MultiKrum", "NNM", "TrMean"]
