"""Checks that hold attacks of several radii and kinds against each other."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .trial import LEVEL, MISSING, Result, Trial, fewer, stronger


def zero(trials: Sequence[Trial], diagnosis: Mapping[str, Any] | None) -> Result:
    """Nothing changes at a radius of zero; of a model that is declared random, no more than between equal passes."""
    zero = [t for t in trials if t.eps == 0]
    if not zero:
        return MISSING
    worst = max(float(np.abs(t.record.adversarial - t.record.clean).max(initial=0.0)) for t in zero)
    size = max(float(np.abs(t.record.clean).max(initial=1.0)) for t in zero)
    detail = f"largest change of a logit {worst:.2g}"
    allowed = 1e-4 * max(size, 1.0)
    if diagnosis is not None and diagnosis["declared_random"]:
        # The model was looked at on a few images; among many the largest change is a few times larger.
        allowed += 3 * diagnosis["noise"] * size
        detail += ", of a model declared random"
    return ("passed" if worst <= allowed else "flagged", detail)


def monotone(attacks: Sequence[Trial]) -> Result:
    """Each attack that takes several steps, and the worst case of all, leaves no more correct at a larger radius.

    A single step gets weaker at large radii on healthy models: it leaves the region where the gradient holds.
    """
    iterative = [t for t in attacks if t.iterations > 1]
    series: dict[str, list[Trial]] = {}
    for trial in iterative:
        series.setdefault(trial.attack, []).append(trial)
    compared = 0
    for trials in series.values():
        for small, large in itertools.pairwise(sorted(trials, key=lambda t: t.eps)):
            if small.eps == large.eps:
                continue
            compared += 1
            if stronger(small, large) < LEVEL:
                return "flagged", f"{large} leaves {large.share:.1%} correct, {small} only {small.share:.1%}"
    radii = sorted({t.eps for t in iterative})
    for small_eps, large_eps in itertools.pairwise(radii):
        pair = [[t for t in attacks if t.eps == eps] for eps in (small_eps, large_eps)]
        names = {t.attack for t in pair[0]} & {t.attack for t in pair[1]}
        if len(names) < 2 or names.isdisjoint(series):
            continue
        compared += 1
        before, after = (_worst([t for t in trials if t.attack in names]) for trials in pair)
        if fewer(before, after) < LEVEL:
            told = f"the worst case leaves {after.sum()} of {len(after)} images correct at {large_eps * 255:.3g}/255"
            return "flagged", f"{told}, {before.sum()} at {small_eps * 255:.3g}/255"
    return ("passed", f"{compared} steps in eps") if compared else MISSING


def _worst(trials: Sequence[Trial]) -> NDArray[np.bool_]:
    """Which images stay correct under every attack (n,)."""
    kept: NDArray[np.bool_] = np.all([t.kept for t in trials], axis=0)
    return kept


def large(attacks: Sequence[Trial]) -> Result:
    large = [t for t in attacks if t.large and t.iterations != 1]
    if not large:
        return MISSING
    best = min(large, key=lambda t: t.share)
    return ("passed" if best.share <= 0.05 else "flagged", f"{best} leaves {best.share:.1%} correct")


def pairs(
    trials: Sequence[Trial],
    strong: Callable[[Trial], bool],
    weak: Callable[[Trial], bool],
    *,
    largest: bool = False,
) -> Result:
    """At each radius (or the largest at which both were tried), the strongest of one kind against that of another."""
    words = "leaves more images correct than"
    radii = [{t.eps for t in trials if t.eps > 0 and is_of_kind(t)} for is_of_kind in (strong, weak)]
    shared = sorted(radii[0] & radii[1])[-1 if largest else None :]
    compared = len(shared)
    for eps in shared:
        here = [t for t in trials if t.eps == eps]
        first, second = (min(filter(kind, here), key=lambda t: t.share) for kind in (strong, weak))
        if stronger(second, first) < LEVEL:
            return "flagged", f"{first} {words} {second}: {first.share:.1%} to {second.share:.1%}"
    return ("passed", f"at {compared} radii") if compared else MISSING


def noise(attacks: Sequence[Trial], controls: Sequence[Trial]) -> Result:
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
    return ("undecided", f"no difference at {compared} radii") if compared else MISSING
