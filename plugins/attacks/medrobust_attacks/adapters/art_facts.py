"""What ART's signatures do not tell of its attacks; one that is named nowhere here runs under every norm it accepts."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from torch import Tensor

from medrobust import Norm

ORDERS: Final[Mapping[Norm, float]] = {"linf": np.inf, "l2": 2, "l1": 1}
"""Norms as ART writes them."""
DECISIONS: Final = frozenset({"BoundaryAttack", "GeoDA", "HopSkipJump", "SignOPTAttack"})
"""Attacks that use decisions alone; others without gradients use scores."""
PATCHES: Final = frozenset({"AdversarialPatch", "AdversarialPatchNumpy", "AdversarialPatchPyTorch"})
"""Attacks that make one patch for the images of a batch, which is then placed at random."""
GUIDED: Final = frozenset({"FeatureAdversariesNumpy", "FeatureAdversariesPyTorch"})
"""Attacks that draw images towards the features of others."""
TARGETED_ONLY: Final = frozenset(
    {"GRAPHITEBlackbox", "GRAPHITEWhiteboxPyTorch", "LowProFool", "TargetedUniversalPerturbation"}
)
FLAT: Final = frozenset({"LowProFool"})
"""Attacks on rows of features, to which images are given as such."""
VIDEOS: Final = frozenset({"OverTheAirFlickeringPyTorch"})
RADIUS: Final[Mapping[str, str]] = {
    **dict.fromkeys(sorted(GUIDED), "delta"),
    "FrameSaliencyAttack": "attacker",
    "PixelAttack": "th",
    "ThresholdAttack": "th",
}
"""The parameter that takes the radius, where it is not called `eps`."""
IMAGE_SIZE: Final[Mapping[str, Callable[[float, Tensor], int]]] = {
    "PixelAttack": lambda eps, images: max(1, int(eps) // images.shape[1]),  # counts pixels, l0 counts values
    "ThresholdAttack": lambda eps, images: max(1, int(eps * 255 + 1e-6)),
}
"""Radii in a unit of the attack's own."""
_NORMS: Final[Mapping[str, Norm]] = {
    "BoundaryAttack": "l2",
    "DeepFool": "l2",
    "ElasticNet": "l1",
    "NewtonFool": "l2",
    "PixelAttack": "l0",
    "SaliencyMapMethod": "l0",
    "SignOPTAttack": "l2",
    "SimBA": "l2",
    "VirtualAdversarialMethod": "l2",
    "ZooAttack": "l2",
    **dict.fromkeys(("BasicIterativeMethod", "FrameSaliencyAttack", "ThresholdAttack", *sorted(GUIDED)), "linf"),
}


def norms_by_name(name: str, *, told: bool) -> set[Norm]:
    """The norm of an attack that has no parameter for it; `told` says whether it takes a radius.

    An attack that takes a radius without a norm bounds single values, as far as is known; one that takes none, and is
    not known to search for the smallest perturbation of a norm, bounds nothing.
    """
    if name in _NORMS:
        return {_NORMS[name]}
    if match := re.search(r"L(Inf|0|1|2)(?=Method)", name):
        return {f"l{match[1].lower()}"}  # type: ignore[arg-type]
    return {"linf"} if told and name not in ("Wasserstein",) else {"unbounded"}


TRIED_WITH: Final[Mapping[str, Mapping[str, Any]]] = {
    "CompositeAdversarialAttackPyTorch": {"max_iter": 2, "max_inner_iter": 3},
    "GRAPHITEBlackbox": {
        "num_xforms_mask": 2,
        "num_xforms_boost": 2,
        "num_boost_queries": 10,
        "heat_patch_size": [16, 16],
        "heat_patch_stride": [16, 16],
    },
    "GeoDA": {"max_iter": 500},
    "UniversalPerturbation": {"attacker": "fgsm"},
    "VirtualAdversarialMethod": {"max_iter": 1},
    # With its own regularisation it overflows on images of this size.
    "Wasserstein": {
        "regularization": 100.0,
        "max_iter": 3,
        "conjugate_sinkhorn_max_iter": 3,
        "projected_sinkhorn_max_iter": 3,
        "kernel_size": 3,
    },
}
"""Settings with which an attack ends in a check of all, where fewer of every whole number would not do."""
