"""Checks of what the engine saw of the model itself: see `engine.models.diagnose`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .trial import Result

GRADIENTS = "gradients are neither zero nor NaN"
DETERMINISTIC = "forward passes are deterministic"
LOGITS = "outputs are logits"
BATCH = "logits do not depend on the batch"
SCALE = "inputs are normalised once"
SEEN = (GRADIENTS, DETERMINISTIC, LOGITS, BATCH, SCALE)
UNSEEN: Result = ("not checked", "the model has not been examined; run again")


def seen(diagnosis: Mapping[str, Any] | None) -> dict[str, Result]:
    """The checks named in `SEEN`; not checked where the engine has not looked, or had too few images."""
    if diagnosis is None:
        return dict.fromkeys(SEEN, UNSEEN)
    d = diagnosis
    blind = d["zero_gradient"] > 0.1 or d["bad_gradient"] > 0
    gradients = f"{d['zero_gradient']:.0%} zero, {d['bad_gradient']:.0%} not finite, of {d['images']} images"
    probabilities = "every output lies in [0, 1]; each row of several classes sums to 1" if d["probabilities"] else ""
    return {
        GRADIENTS: ("flagged" if blind else "passed", gradients),
        DETERMINISTIC: _deterministic(d),
        LOGITS: ("flagged" if probabilities else "passed", probabilities),
        BATCH: _batch(d.get("batch")),
        SCALE: ("flagged" if d.get("scale") else "passed", d.get("scale") or ""),
    }


def _deterministic(d: Mapping[str, Any]) -> Result:
    noisy = d["noise"] > 1e-5
    if noisy and d["declared_random"]:
        return "passed", "declared random"
    return "flagged" if noisy else "passed", f"logits differ by {d['noise']:.2g} relative to their size"


def _batch(found: float | None) -> Result:
    if found is None:
        return "not checked", "two equal passes differ, or there are too few images"
    told = f"among other images an image's logits differ by {found:.2g} relative to their size" if found else ""
    return "flagged" if found else "passed", told
