"""A judgement in words, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from textwrap import fill

from ..engine.running.progress import human_time
from .judgement import Judgement, Result, Share

WIDTH = 100


def verdict(judgement: Judgement) -> str:
    """The first line."""
    counts = Counter(outcome for _, outcome in judgement.checks)
    done = len(judgement.checks) - counts["not checked"]
    if judgement.healthy:
        rest = f", {counts['not checked']} not checked" if counts["not checked"] else ""
        unsure = f", {counts['undecided']} undecided" if counts["undecided"] else ""
        return f"Healthy: no fault found; {counts['passed']} of {done} checks passed{unsure}{rest}."
    number = len(judgement.faults)
    return f"{number} {'fault' if number == 1 else 'faults'} found: {judgement.faults[0].name}" + (
        f", and {number - 1} more." if number > 1 else "."
    )


def percent(share: Share | float) -> str:
    """`98 % [93, 100]`, or `98 %`."""
    value = share if isinstance(share, float) else share.value
    text = f"{100 * value:.0f} %"
    if isinstance(share, Share) and share.low is not None and share.high is not None:
        text += f" [{100 * share.low:.0f}, {100 * share.high:.0f}]"
    return text


def radius(result: Result) -> str:
    """`1/255`, or the budget as it is spelt where it is not in linf."""
    return result.budget.removeprefix("linf:")


def as_text(judgement: Judgement) -> str:
    """The whole report."""
    return "\n".join(_lines(judgement)) + "\n"


def _lines(judgement: Judgement) -> Iterator[str]:
    yield f"{judgement.model} on {judgement.data}"
    yield judgement.verdict
    for fault in judgement.faults:
        yield _item(str(fault))
    yield ""
    for topic, text in judgement.facts.items():
        yield fill(f"{topic}: {text}", WIDTH, subsequent_indent="  ")
    yield from _section("What breaks it", judgement.findings)
    yield from _table(judgement)
    yield from _section("Where the evidence is thin", judgement.thin)
    yield from _section("Left out", judgement.left_out)
    yield from _section("What to try next", judgement.advice)
    yield ""
    yield f"Took {human_time(judgement.seconds)} ({human_time(judgement.cpu_seconds)} of processor time)."


def _section(title: str, items: tuple[str, ...]) -> Iterator[str]:
    if items:
        yield ""
        yield title
        yield from (_item(item) for item in items)


def _item(text: str) -> str:
    return fill(text, WIDTH, initial_indent="  - ", subsequent_indent="    ")


def _table(judgement: Judgement) -> Iterator[str]:
    """Attacks in rows, radii in columns, what stays in percent."""
    results = [r for r in judgement.results if r.norm == "linf"]
    if not results:
        return
    columns = sorted({(r.eps, radius(r)) for r in results})
    width = max(len(r.title) for r in results)
    yield ""
    what = "right decisions that stay" if judgement.clean else "decisions that stay"
    yield f"In percent of the {what}, by the largest change of a pixel"
    yield f"  {'':{width}}" + "".join(f"{name:>9}" for _, name in columns)
    for title in dict.fromkeys(r.title for r in results):
        found = {r.eps: f"{100 * r.kept.value:.0f}" for r in results if r.title == title}
        yield f"  {title:{width}}" + "".join(f"{found.get(eps, ''):>9}" for eps, _ in columns)
