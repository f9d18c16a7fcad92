"""All checks of one model under one threat model, with the advice where one is flagged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from . import ladder
from .order import ORDER, order_of_classes
from .seen import BATCH, DETERMINISTIC, GRADIENTS, LOGITS, SCALE, seen
from .trial import Check, Result, Trial

ZERO = "eps 0 equals clean"
MONOTONE = "robust accuracy does not rise with eps"
LARGE = "a very large eps reaches about zero"
ITERATIVE = "iterative at least as strong as single-step"
TRANSFER = "white-box at least as strong as transfer"
NOISE = "the attack beats noise"

ADVICE = {
    ZERO: "The attack or the model changes images that it should not; find the cause before trusting any number.",
    MONOTONE: "The attack fails at large budgets; try more steps, restarts or another loss.",
    LARGE: "Gradients do not lead to the errors that exist; suspect gradient masking and add a black-box attack.",
    ITERATIVE: "The iterative attack does not get far: its steps are too few or too short, or gradients are masked.",
    TRANSFER: "Gradients of the model mislead; suspect gradient masking and trust the transfer attack.",
    GRADIENTS: "Gradient attacks cannot work here; use a margin loss, an approximation of the layer that hides the "
    "gradient, or black-box attacks.",
    DETERMINISTIC: "Average gradients over the randomness (expectation over transformation), or declare the model "
    "random.",
    LOGITS: "Return the logits before the softmax; losses on probabilities saturate.",
    BATCH: "A layer takes statistics over the batch; give batch norm its running statistics (evaluation mode).",
    SCALE: "Images come in [0, 1]; see that the model normalises them exactly once, as in its training.",
    ORDER: "Bring the model's outputs into the order of the data set's classes.",
    NOISE: "The attack does no more than noise of the same size; its result is not evidence of robustness.",
}
"""What each check asks, with the advice where it is flagged; in the order in which they are shown."""


def evidence(trials: Sequence[Trial], diagnosis: Mapping[str, Any] | None) -> list[Check]:
    """All checks of one model under one threat model.

    Args:
        trials: cells of the model with one norm on the same images, labelled.
        diagnosis: what the engine saw of the model, see `engine.models.diagnose`; None if it has not looked.
    """
    attacks = [t for t in trials if not t.control and t.white_box]
    found: dict[str, Result] = {
        ZERO: ladder.zero(trials, diagnosis),
        MONOTONE: ladder.monotone(attacks),
        LARGE: ladder.large(attacks),
        # Where margins are alike, short steps may just miss a boundary that one long step crosses: at some radius, not
        # at the largest.
        ITERATIVE: ladder.pairs(attacks, lambda t: t.iterations > 1, lambda t: t.iterations == 1, largest=True),
        TRANSFER: ladder.pairs([t for t in trials if not t.control], lambda t: t.white_box, lambda t: not t.white_box),
        **seen(diagnosis),
        ORDER: order_of_classes(trials[0].record if trials else None),
        NOISE: ladder.noise(attacks, [t for t in trials if t.control]),
    }
    return [Check(name, *found[name], advice if found[name][0] == "flagged" else "") for name, advice in ADVICE.items()]


def badge(checks: Iterable[Check]) -> str:
    """One line: how many checks passed, and the names of those flagged."""
    listed = list(checks)
    done = [c for c in listed if c.outcome != "not checked"]
    passed = sum(c.outcome == "passed" for c in done)
    flagged = [c.name for c in done if c.outcome == "flagged"]
    text = f"{passed} of {len(done)} checks passed"
    if len(done) < len(listed):
        text += f", {len(listed) - len(done)} not checked"
    return text + (f"; FLAGGED: {'; '.join(flagged)}" if flagged else "")
