"""Whether a cell that was made again agrees with its record: bit by bit, within float32 rounding, or not."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..contracts import decide
from .samples import Samples

TOLERANCE = 1e-4
"""How far logits and norms may be apart to be called equal within float32 rounding: absolute, and relative to the
largest of the image where that is above 1. Measured on the golden record (tests/harness/test_golden.py): another set of
instructions moves logits by 1e-6 at most, small changes of behaviour move some by 5e-4 or more. Attacks that take signs
of gradients turn rounding into other pixels where gradients are nearly zero, so that some images of theirs are further
apart on a processor with other instructions; their decisions are not (docs/design.md)."""
NAMED = 6
"""Images that the words of a difference name."""

Numbers = NDArray[np.floating[Any]]
Degree = Literal["equal", "rounding", "different"]


@dataclass(frozen=True)
class Agreement:
    """How far two records of one cell agree.

    Attributes:
        degree: `equal` bit by bit, `rounding` (within `TOLERANCE`), or `different`.
        largest: the largest difference of a logit or norm.
        images: sample ids beyond the tolerance, the furthest apart first.
        decisions: images with another decision, where logits can be compared and are not equal.
        detail: the difference in words; empty where records are equal.
    """

    degree: Degree
    largest: float = 0.0
    images: tuple[str, ...] = ()
    decisions: int | None = None
    detail: str = ""


def compare_samples(stored: Samples, anew: Samples, *, multilabel: bool) -> Agreement:
    """What a store holds of a cell's images, and what came of them when the cell was made again."""
    if fault := _other_images(stored, anew):
        return Agreement("different", detail=fault)
    found, again = _logits(stored), _logits(anew)
    if found.shape != again.shape:
        return Agreement("different", detail=f"logits of shape {found.shape[1:]} in the store, {again.shape[1:]} here")
    pairs: dict[str, tuple[Numbers, Numbers]] = {
        "logits": (found, again),
        "l2": (stored.l2, anew.l2),
        "linf": (stored.linf, anew.linf),
    }
    for name, first, second in (
        ("clean scores", stored.clean_scores, anew.clean_scores),
        ("scores", stored.scores, anew.scores),
    ):
        if first is not None and second is not None:
            pairs[name] = (first, second)
        elif first is not second:
            where = "not here" if second is None else "here only"
            return Agreement("different", detail=f"{name} of a detector are {where}")
    for name in ("l1", "l0"):
        norms = getattr(stored, name), getattr(anew, name)
        if norms[0] is not None and norms[1] is not None:
            pairs[name] = norms
        elif norms[0] is not norms[1]:
            where = "not here" if norms[1] is None else "here only"
            return Agreement("different", detail=f"the norms {name} are {where}")
    if all(first.tobytes() == second.tobytes() for first, second in pairs.values()):
        return Agreement("equal")
    apart = {name: _apart(*pair) for name, pair in pairs.items()}
    ratios = {name: apart[name] / (TOLERANCE * _size(pair[0])) for name, pair in pairs.items()}
    name = max(ratios, key=lambda each: ratios[each].max(initial=0.0))
    largest = float(apart[name].max(initial=0.0))
    excess = np.max(list(ratios.values()), axis=0)
    beyond = np.argsort(-excess, kind="stable")[: int((excess > 1).sum())]
    others = _other_decisions(stored, anew, multilabel=multilabel)
    if not len(beyond):
        return Agreement("rounding", largest, (), others, f"{name} differ by up to {largest:.2g}")
    images = tuple(stored.ids[beyond].tolist())
    detail = f"{name} differ by up to {largest:.2g}, in {len(beyond)} of {len(stored.ids)} images by too much"
    detail += f" ({others} other decisions): {named(images)}"
    return Agreement("different", largest, images, others, detail)


def named(images: tuple[str, ...]) -> str:
    """A few images by their ids, and how many there are more."""
    return ", ".join(images[:NAMED]) + (f" and {len(images) - NAMED} more" if len(images) > NAMED else "")


def differing(row: Mapping[str, Any], expected: Mapping[str, Any], names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """The columns in which a stored row is not as expected: (name, the difference in words)."""
    for name in names:
        stored, wanted = _plain(row.get(name)), _plain(expected.get(name))
        if stored != wanted and not _close(stored, wanted):
            yield name, f"{name} is {_shown(stored)} in the store, {_shown(wanted)} here"


def _other_images(stored: Samples, anew: Samples) -> str:
    """How the images of two records differ in anything but their logits; empty if they do not."""
    if len(stored.ids) != len(anew.ids):
        return f"{len(stored.ids)} images in the store, {len(anew.ids)} here"
    for what, first, second in (
        ("the image", stored.ids, anew.ids),
        ("the label", stored.labels, anew.labels),
        ("the group", stored.groups, anew.groups),
    ):
        if first is None or second is None:
            if first is not second:
                return f"{what}s are {'absent' if first is None else 'there'} in the store and not here"
        elif first.shape != second.shape:
            return f"{what}s have shape {first.shape} in the store, {second.shape} here"
        elif (other := (first != second).reshape(len(first), -1).any(axis=1)).any():
            at = int(other.argmax())
            where = "" if what == "the image" else f" of {stored.ids[at]}"
            return f"{what}{where} is {first[at]} in the store, {second[at]} here ({int(other.sum())} such)"
    return ""


def _logits(samples: Samples) -> NDArray[np.float32]:
    """Logits of every draw (n, draws, outputs)."""
    first = samples.logits[:, None]
    return first if samples.more_logits is None else np.concatenate([first, samples.more_logits], axis=1)


def _other_decisions(stored: Samples, anew: Samples, *, multilabel: bool) -> int:
    """Images with another decision; of a random model, by its first draw."""
    other = decide(stored.logits, multilabel=multilabel) != decide(anew.logits, multilabel=multilabel)
    return int(other.reshape(len(other), -1).any(axis=1).sum())


def _apart(first: Numbers, second: Numbers) -> NDArray[np.float64]:
    """The largest absolute difference of each image (n,); infinite where a number is none."""
    wide = np.abs(first.astype(np.float64) - second)
    # What is no number in both, as the score of an image that a detector learned from, is the same.
    wide = np.where(np.isnan(first) & np.isnan(second), 0.0, wide).reshape(len(first), -1).max(axis=1, initial=0.0)
    return np.asarray(np.nan_to_num(wide, nan=np.inf, posinf=np.inf))


def _size(values: Numbers) -> NDArray[np.float64]:
    """The largest value of each image (n,), at least 1."""
    wide = np.abs(np.nan_to_num(values.astype(np.float64))).reshape(len(values), -1)
    return np.asarray(wide.max(axis=1, initial=1.0))


def _plain(value: Any) -> Any:
    """A value of a table as Python's own; whatever stands for its absence as None."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist()
    return None if isinstance(value, float) and math.isnan(value) else value


def _close(stored: Any, wanted: Any) -> bool:
    numbers = all(isinstance(value, int | float) for value in (stored, wanted))
    return numbers and math.isclose(stored, wanted, rel_tol=1e-6, abs_tol=1e-12)


def _shown(value: Any) -> str:
    return "absent" if value in (None, "") else repr(value)
