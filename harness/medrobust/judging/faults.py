"""What is wrong with a model or with how it is used: its layers, clean decisions, and the checks of evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from torch import nn

from ..results.evidence import checks, seen
from ..results.evidence.order import ORDER
from .judgement import Fault, Share

WORDS: Final = {
    seen.LOGITS: "outputs are probabilities, not logits",
    seen.SCALE: "inputs are on another scale than the network was trained with (normalised twice, or not at all)",
    ORDER: "outputs are in another order than the classes",
    seen.BATCH: "an image's outputs depend on the other images of its batch, as of batch norm in training mode",
    seen.DETERMINISTIC: "equal images get different outputs",
    seen.GRADIENTS: "gradients are zero or not finite, so that gradient attacks see nothing",
    checks.ZERO: "outputs change at a radius of zero",
    checks.LARGE: "even a very large change does not break it: its gradients mislead",
    checks.MONOTONE: "a larger change breaks fewer images: its gradients mislead",
    checks.ITERATIVE: "several steps break fewer images than one: its gradients mislead",
    checks.TRANSFER: "attacks on another network are stronger than those on it: its gradients mislead",
    checks.NOISE: "the attacks do no more than noise",
}
"""What a flagged check means, causes before symptoms."""
DECLARED: Final = "the network takes another input scale than was declared"
OTHER_ORDER: Final = WORDS[ORDER]
BATCH_NORM: Final = "batch norm is in training mode"
CHANCE: Final = "clean decisions are hardly better than always naming one class"
GRAVITY: Final = (DECLARED, BATCH_NORM, *list(WORDS.values())[:6], CHANCE, *list(WORDS.values())[6:])
"""Faults in the order in which they are told: causes before what follows from them."""
HARDLY: Final = 0.05
"""Share of images above the largest class that a model must have right to know anything."""
Norms = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d, nn.SyncBatchNorm)


def training_mode(module: nn.Module) -> Fault | None:
    """Whether a live network has batch norms in training mode; it is judged in evaluation mode."""
    layers = [m for m in module.modules() if isinstance(m, Norms)]
    awake = [m for m in layers if m.training]
    if not awake:
        return None
    return Fault(
        BATCH_NORM,
        f"{len(awake)} of {len(layers)} batch norms of the network that was handed in",
        "In use, call module.eval() first: otherwise an image's decision depends on its batch. It was judged in "
        "evaluation mode.",
        corrected=True,
    )


def guessing(clean: Share | None, chance: float | None) -> Fault | None:
    """Whether a model hardly knows more than which class is the largest."""
    if clean is None or chance is None:
        return None
    if clean.value >= chance + HARDLY or (clean.low is not None and clean.low > chance):
        return None
    return Fault(
        CHANCE,
        f"{clean.value:.0%} of {clean.n} clean images are right, {chance:.0%} are of the most frequent class",
        "Attacks on such a model say nothing. Look at weights, size and channels of the images, input scale "
        "(--input) and the order of the outputs (--outputs).",
    )


def flagged(rows: Sequence[Mapping[str, Any]], *, but: Sequence[str] = ()) -> list[Fault]:
    """The faults that the checks of evidence found, causes first, each once."""
    found: dict[str, Fault] = {}
    for row in rows:
        if row["outcome"] == "flagged" and row["check"] not in but:
            name = WORDS.get(row["check"], row["check"])
            found.setdefault(row["check"], Fault(name, row["detail"], row["advice"]))
    order = list(WORDS)
    return [found[check] for check in sorted(found, key=lambda c: order.index(c) if c in order else len(order))]


def outcomes(rows: Sequence[Mapping[str, Any]]) -> tuple[tuple[str, str], ...]:
    """Every check with the outcome that weighs most among norms and parts."""
    weight = ("flagged", "passed", "undecided", "not checked")
    found: dict[str, str] = {}
    for row in rows:
        before = found.get(row["check"], "not checked")
        found[row["check"]] = min(before, row["outcome"], key=weight.index)
    return tuple(found.items())
