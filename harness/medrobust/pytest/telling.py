"""What a failed expectation tells: the number and its bound, the cell, the images that tell most, and the command."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from ..results.outcomes import correct, decisions, same
from ..results.record import Record
from ..results.statistics.worst_case import margin

SHOWN = 5
"""Images that a message names."""
_OPTIONS = ("store", "baseline", "profile", "images", "device")


def command(item: pytest.Item) -> str:
    """The command that runs one item again, as this run was configured."""
    typed = {name: item.config.getoption(f"medrobust_{name}") for name in _OPTIONS}
    options = [f"--medrobust-{name}={value}" for name, value in typed.items() if value]
    return shlex.join(["pytest", item.nodeid, *options])


def told(lines: Iterable[tuple[str, str]]) -> str:
    """Lines of a name and a text, those without a text left out."""
    return "\n".join(f"  {name:<10} {text}" for name, text in lines if text)


def lost_images(record: Record) -> str:
    """Images that are decided correctly when clean and not under attack, the most confident errors first."""
    if record.labels is None:
        changed = ~same(decisions(record, record.clean), decisions(record, record.adversarial))
        return _named(record, changed, np.zeros(len(record)), "decided otherwise under attack")
    broken = correct(record, record.clean) & ~correct(record, record.adversarial)
    return _named(record, broken, margin(record), "lost under attack")


def clean_errors(record: Record) -> str:
    """Images that are decided wrongly without an attack, the most confident errors first."""
    if record.labels is None:
        return ""
    clean = replace(record, adversarial=record.clean)
    return _named(record, ~correct(record, record.clean), margin(clean), "wrong when clean")


def kept_images(record: Record) -> str:
    """Images that an attack leaves correct, the most robust first."""
    if record.labels is None:
        return ""
    return _named(record, correct(record, record.adversarial), -margin(record), "still correct under attack")


def newly_wrong(now: Record, before: Record, *, clean: bool) -> str:
    """Of two records of the same images: those that were decided correctly before and are not now."""
    if now.labels is None or before.labels is None:
        return ""
    if clean:
        now, before = replace(now, adversarial=now.clean), replace(before, adversarial=before.clean)
    mask = correct(before, before.adversarial) & ~correct(now, now.adversarial)
    return _named(now, mask, margin(now), "correct in the baseline and wrong now")


def _named(record: Record, mask: NDArray[np.bool_], order: NDArray[np.floating], what: str) -> str:
    chosen = np.flatnonzero(mask)
    if not len(chosen):
        return ""
    first = chosen[np.argsort(order[chosen], kind="stable")][:SHOWN]
    return f"{', '.join(record.ids[first].tolist())} ({len(chosen)} {what}, the clearest first)"
