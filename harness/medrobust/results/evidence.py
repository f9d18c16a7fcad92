"""Evidence on whether the robust accuracies of a model can be trusted.

A robust accuracy is an upper bound; these checks look for the signs that it is far from tight (Carlini et al., "On
evaluating adversarial robustness", 2019; Athalye et al., "Obfuscated gradients", 2018). Each is passed, flagged,
undecided, or not checked because a cell is missing; a flagged one comes with a sentence of advice.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .outcomes import correct
from .record import Record
from .statistics.comparison import sign_test

Outcome = Literal["passed", "flagged", "undecided", "not checked"]
LEVEL = 0.01
"""One-sided level of a single paired test; low, because a model is judged by several."""


@dataclass(frozen=True)
class Trial:
    """One cell of a model under a threat model.

    Attributes:
        attack, eps: label and resolved radius, pixels in [0, 1].
        control: whether the attack uses no knowledge of the model.
        white_box: whether it was crafted on the target itself.
        iterations: its gradient steps on each image; 0 if it takes none, as a control, a score-based or a universal
            attack.
        record: the images.
        large: whether the radius is so large that no model can keep its accuracy.
    """

    attack: str
    eps: float
    control: bool
    white_box: bool
    iterations: int
    record: Record
    large: bool = False

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Images that are correct when clean and under attack."""
        return np.asarray(correct(self.record, self.record.adversarial) & correct(self.record, self.record.clean))

    @property
    def share(self) -> float:
        """Share of the images correct when clean that stay correct."""
        right = correct(self.record, self.record.clean)
        return float(self.kept.sum() / max(right.sum(), 1))

    def __str__(self) -> str:
        return f"{self.attack} at {self.eps * 255:.3g}/255"


@dataclass(frozen=True)
class Check:
    """How one check ended.

    Attributes:
        name: what should hold.
        outcome: whether it does.
        detail: the numbers behind the outcome.
        advice: what to do if it does not.
    """

    name: str
    outcome: Outcome
    detail: str = ""
    advice: str = ""


ADVICE = {
    "eps 0 equals clean": "The attack or the model changes images that it should not; find the cause before trusting "
    "any number.",
    "robust accuracy does not rise with eps": "The attack fails at large budgets; try more steps, restarts or another "
    "loss.",
    "a very large eps reaches about zero": "Gradients do not lead to the errors that exist; suspect gradient masking "
    "and add a black-box attack.",
    "iterative at least as strong as single-step": "The iterative attack gets stuck; suspect gradient masking.",
    "white-box at least as strong as transfer": "Gradients of the model mislead; suspect gradient masking and "
    "trust the transfer attack.",
    "gradients are neither zero nor NaN": "Gradient attacks cannot work here; use a margin loss, an approximation of "
    "the layer that hides the gradient, or black-box attacks.",
    "forward passes are deterministic": "Average gradients over the randomness (expectation over transformation), or "
    "declare the model random.",
    "outputs are logits": "Return the logits before the softmax; losses on probabilities saturate.",
    "the attack beats noise": "The attack does no more than noise of the same size; its result is not evidence of "
    "robustness.",
}
"""What each check asks, with the advice where it is flagged; in the order in which they are shown."""


def evidence(trials: Sequence[Trial], diagnosis: Mapping[str, Any] | None) -> list[Check]:
    """All checks of one model under one threat model.

    Args:
        trials: cells of the model with one norm on the same images, labelled.
        diagnosis: what the engine saw of the model, see `engine.diagnose`; None if it has not looked.
    """
    attacks = [t for t in trials if not t.control and t.white_box]
    found = {
        "eps 0 equals clean": _zero(trials, diagnosis),
        "robust accuracy does not rise with eps": _monotone(attacks),
        "a very large eps reaches about zero": _large(attacks),
        "iterative at least as strong as single-step": _pairs(
            attacks, lambda t: t.iterations > 1, lambda t: t.iterations == 1, "leaves more images correct than"
        ),
        "white-box at least as strong as transfer": _pairs(
            [t for t in trials if not t.control],
            lambda t: t.white_box,
            lambda t: not t.white_box,
            "leaves more images correct than",
        ),
        **_diagnosed(diagnosis),
        "the attack beats noise": _noise(attacks, [t for t in trials if t.control]),
    }
    return [_check(name, *found[name]) for name in ADVICE]


def _check(name: str, outcome: Outcome, detail: str) -> Check:
    return Check(name, outcome, detail, ADVICE[name] if outcome == "flagged" else "")


_Result = tuple[Outcome, str]
_MISSING: _Result = ("not checked", "no such cell; `medrobust run --evidence` adds it")


def stronger(first: Trial, second: Trial) -> float:
    """One-sided p value that the first leaves fewer images correct than the second (exact McNemar test)."""
    _, a, b = np.intersect1d(first.record.ids, second.record.ids, return_indices=True)
    one, other = first.kept[a], second.kept[b]
    fewer, more = int((~one & other).sum()), int((one & ~other).sum())
    return sign_test(fewer, more)[0]


def _zero(trials: Sequence[Trial], diagnosis: Mapping[str, Any] | None) -> _Result:
    """Nothing changes at a radius of zero; of a model that is declared random, no more than between equal passes."""
    zero = [t for t in trials if t.eps == 0]
    if not zero:
        return _MISSING
    worst = max(float(np.abs(t.record.adversarial - t.record.clean).max(initial=0.0)) for t in zero)
    size = max(float(np.abs(t.record.clean).max(initial=1.0)) for t in zero)
    detail = f"largest change of a logit {worst:.2g}"
    allowed = 1e-4 * max(size, 1.0)
    if diagnosis is not None and diagnosis["declared_random"]:
        # The model was looked at on a few images; among many the largest change is a few times larger.
        allowed += 3 * diagnosis["noise"] * size
        detail += ", of a model declared random"
    return ("passed" if worst <= allowed else "flagged", detail)


def _monotone(attacks: Sequence[Trial]) -> _Result:
    series: dict[str, list[Trial]] = {}
    for trial in attacks:
        series.setdefault(trial.attack, []).append(trial)
    compared = 0
    for trials in series.values():
        for small, large in itertools.pairwise(sorted(trials, key=lambda t: t.eps)):
            if small.eps == large.eps:
                continue
            compared += 1
            if stronger(small, large) < LEVEL:
                return "flagged", f"{large} leaves {large.share:.1%} correct, {small} only {small.share:.1%}"
    return ("passed", f"{compared} steps in eps") if compared else _MISSING


def _large(attacks: Sequence[Trial]) -> _Result:
    large = [t for t in attacks if t.large and t.iterations != 1]
    if not large:
        return _MISSING
    best = min(large, key=lambda t: t.share)
    return ("passed" if best.share <= 0.05 else "flagged", f"{best} leaves {best.share:.1%} correct")


def _pairs(
    trials: Sequence[Trial], strong: Callable[[Trial], bool], weak: Callable[[Trial], bool], words: str
) -> _Result:
    """At each radius, the strongest trial of one kind against the strongest of another."""
    compared = 0
    for eps in sorted({t.eps for t in trials if t.eps > 0}):
        here = [t for t in trials if t.eps == eps]
        firsts, seconds = [t for t in here if strong(t)], [t for t in here if weak(t)]
        if not firsts or not seconds:
            continue
        compared += 1
        first, second = (min(ts, key=lambda t: t.share) for ts in (firsts, seconds))
        if stronger(second, first) < LEVEL:
            return "flagged", f"{first} {words} {second}: {first.share:.1%} to {second.share:.1%}"
    return ("passed", f"at {compared} radii") if compared else _MISSING


def _noise(attacks: Sequence[Trial], controls: Sequence[Trial]) -> _Result:
    for trial in sorted(attacks, key=lambda t: t.eps):
        if trial.eps > 0 and trial.kept.any() and not trial.record.linf.any():
            return "flagged", f"{trial} changes no image"
    better: list[Trial] = []
    compared = 0
    for control in controls:
        here = [t for t in attacks if t.eps == control.eps and t.eps > 0]
        if not here:
            continue
        compared += 1
        best = min(here, key=lambda t: t.share)
        if stronger(control, best) < LEVEL:
            return "flagged", f"{best} leaves {best.share:.1%} correct, noise {control.share:.1%}"
        if stronger(best, control) < LEVEL:
            better.append(best)
    if better:
        return "passed", f"at {len(better)} of {compared} radii, from {better[0].eps * 255:.3g}/255 on"
    return ("undecided", f"no difference at {compared} radii") if compared else _MISSING


def _diagnosed(diagnosis: Mapping[str, Any] | None) -> dict[str, _Result]:
    names = ("gradients are neither zero nor NaN", "forward passes are deterministic", "outputs are logits")
    if diagnosis is None:
        return dict.fromkeys(names, ("not checked", "the model has not been examined; run again"))
    d = diagnosis
    blind = d["zero_gradient"] > 0.1 or d["bad_gradient"] > 0
    noisy = d["noise"] > 1e-5
    if noisy and d["declared_random"]:
        determinism: _Result = ("passed", "declared random")
    else:
        determinism = ("flagged" if noisy else "passed", f"logits differ by {d['noise']:.2g} relative to their size")
    return {
        names[0]: (
            "flagged" if blind else "passed",
            f"{d['zero_gradient']:.0%} zero, {d['bad_gradient']:.0%} not finite, of {d['images']} images",
        ),
        names[1]: determinism,
        names[2]: ("flagged", "every output lies in [0, 1]; each row of several classes sums to 1")
        if d["probabilities"]
        else ("passed", ""),
    }


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
