"""What the results mean: what breaks a model, where the evidence is thin, and what to try next, in sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from .judgement import Fault, Result, Share, Smallest
from .results import worst
from .words import percent, radius

BROKEN: Final = 0.5
"""Share of the right decisions below which a model counts as broken."""
FEW: Final = 100
"""Images below which intervals are wide."""
WIDE: Final = 0.1
"""Half an interval from which it is said that it is wide."""


def breaks(
    results: Sequence[Result],
    smallest: Smallest | None,
    clean: Share | None,
    moves: Mapping[tuple[str, str], int],
) -> Iterator[str]:
    """What breaks it, and how small a change suffices."""
    of = "right decisions" if clean else "decisions"
    yield from _white_box(results, of)
    if smallest is not None:
        yield _smallest(smallest, of)
    if moves and (total := sum(moves.values())):
        (before, after), count = next(iter(moves.items()))
        yield f"Most of the decisions that change go from {before} to {after}: {count} of {total}."
    for kind, words in (
        ("black-box", "{title}, which sees outputs alone, turns"),
        ("transfer", "Images crafted on another network, without asking this one at all, turn"),
        ("universal", "One perturbation that is added to every image turns"),
        ("control", "Random noise turns"),
    ):
        found = [r for r in results if r.kind == kind]
        if found:
            strongest = min(found, key=lambda r: (r.kept.value, r.eps if r.kept.value < 1 else -r.eps))
            lost = Share(1 - strongest.kept.value, *_turned(strongest.kept), strongest.kept.n)
            yield f"{words.format(title=strongest.title)} {percent(lost)} of the {of} at {radius(strongest)}."


def _turned(kept: Share) -> tuple[float | None, float | None]:
    return (None, None) if kept.low is None or kept.high is None else (1 - kept.high, 1 - kept.low)


def _white_box(results: Sequence[Result], of: str) -> Iterator[str]:
    radii = worst(results, ("white-box",))
    if not radii:
        return
    noise = {r.eps: r for r in results if r.kind == "control"}
    broken = next((each for each in radii if each[1].value < BROKEN), None)
    if broken is None:
        eps, kept, here = radii[-1]
        yield (
            f"No attack broke it: at {radius(here[0])}, the largest change tried, {percent(kept)} of the {of} stay "
            f"under all of {_names(here)}."
        )
        return
    eps, kept, here = broken
    levels = eps * 255
    amount = f"{levels:.3g} grey level{'' if levels == 1 else 's'} of 255"
    beside = f" Noise of the same size turns {percent(1 - noise[eps].kept.value)}." if eps in noise else ""
    yield (
        f"Changing each pixel by at most {amount} suffices: {percent(kept)} of the {of} stay under "
        f"{_names(here)}.{beside}"
    )
    if broken[0] == radii[0][0]:
        yield "That is the smallest change that was tried; smaller ones may suffice."
    gone = next((each for each in radii if each[1].value <= 0.02), None)
    if gone and gone[0] != eps:
        yield f"At {radius(gone[2][0])} hardly any is left: {percent(gone[1])}."


def _names(results: Sequence[Result]) -> str:
    titles = list(dict.fromkeys(r.title.partition(",")[0] for r in results))
    return " and ".join(filter(None, (", ".join(titles[:-1]), titles[-1])))


def _smallest(smallest: Smallest, of: str) -> str:
    median = smallest.quartiles[1]
    if median == float("inf"):
        return f"{smallest.title}: a change was found for {percent(smallest.found)} of the {of} only."
    attack = smallest.title.partition(",")[0]
    return (
        f"For half of the {of}, an {smallest.norm} change of {median:.3g} suffices, {smallest.grey_levels:.2g} grey "
        f"levels a pixel in the root mean square ({attack} found one for {percent(smallest.found)})."
    )


def thin_places(
    results: Sequence[Result],
    clean: Share | None,
    images: int,
    grouped: int | None,
    checks: Sequence[tuple[str, str]],
) -> Iterator[str]:
    """Where the evidence is thin."""
    if clean is None:
        yield "The images have no labels: what is counted are decisions that change, right or wrong ones."
    counted = max((r.kept.n for r in results), default=0)
    intervals = [(r.kept.low, r.kept.high) for r in results]
    widest = max((high - low for low, high in intervals if low is not None and high is not None), default=0.0) / 2
    if widest >= WIDE or counted < FEW:
        reach = f"95 % intervals reach up to {100 * widest:.0f} points to each side"
        yield f"Rates rest on {counted} of {images} images; {reach}."
    if grouped is None:
        yield (
            "Patients are not known, so each image counts as a patient of its own; intervals are too narrow if several "
            "are of one."
        )
    else:
        yield f"The images are of {grouped} patients, which the intervals of single attacks account for."
    for name, outcome in checks:
        if outcome == "undecided":
            yield f"Undecided: {name}."
    unchecked = [name for name, outcome in checks if outcome == "not checked"]
    if unchecked:
        yield f"Not checked: {'; '.join(unchecked)}."
    yield "An attack that fails proves nothing: a stronger one, or one made for this model, may succeed."


def next_steps(
    results: Sequence[Result], faults: Sequence[Fault], clean: Share | None, left_out: Sequence[str], images: int
) -> Iterator[str]:
    """What to try next."""
    if any(not fault.corrected for fault in faults):
        yield "Remedy the faults first and judge again: numbers of a model that is used wrongly say little."
    elif faults:
        yield "Put right in use what was put right here."
    radii = worst(results, ("white-box",))
    if radii and any(kept.value < BROKEN for _, kept, _ in radii):
        yield (
            "Adversarial training makes small changes less harmful ('medrobust plugins adversarial-training'); compare "
            "both models in one grid."
        )
        yield (
            "Detectors tell some adversarial images from clean ones ('medrobust plugins dfeat'); try them with an "
            "attack that knows them."
        )
    elif radii:
        yield (
            "It withstood what was tried: try attacks with more steps and restarts, and one adapted to what is special "
            "about it."
        )
    if left_out:
        yield "More time runs what was left out: --time 1h, or --time all."
    if images < FEW:
        yield "More images make the intervals narrower."
    if clean is None:
        yield (
            "With labels, rates would count right decisions only, and the order of the outputs and the input scale "
            "could be checked."
        )
