"""Splits: holding out whole groups, stratified and the same everywhere."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from .samples import Label, Sample


def hold_out(units: Sequence[str], labels: Sequence[Label], share: float, *, purpose: str) -> set[str]:
    """Units that hold about `share` of the images of each class.

    The order of the units is that of a hash of their names and of `purpose`: it does not depend on a random generator,
    on the order of files, or, but for the units at the border, on which other units are there.

    Args:
        units: for each image what must not be torn apart: its patient, or itself.
        labels: for each image its label.
        share: in [0, 1).
        purpose: name of the part held out.
    """
    if share <= 0:
        return set()
    frequency = Counter(index for label in labels for index in _positives(label))
    sizes = Counter(units)
    shown: dict[str, set[int]] = defaultdict(set)
    for unit, label in zip(units, labels, strict=True):
        shown[unit].update(_positives(label))
    strata: dict[int, list[str]] = defaultdict(list)
    for unit, indices in shown.items():
        # The rarest label a unit shows decides its stratum, so that rare classes reach every part.
        strata[min(indices, key=lambda index: (frequency[index], index))].append(unit)
    held: set[str] = set()
    together: list[str] = []
    for names in strata.values():
        found = _share_of(names, sizes, share, purpose)
        held |= found
        if not found:
            together += names
    # Classes too small to give a unit each, such as those of one image, give units together.
    return held | _share_of(together, sizes, share, purpose)


def _share_of(names: Sequence[str], sizes: Mapping[str, int], share: float, purpose: str) -> set[str]:
    """Units that hold about `share` of the images of all."""
    target = share * sum(sizes[name] for name in names)
    held: set[str] = set()
    count = 0
    for name in sorted(names, key=lambda name: hashlib.sha256(f"{purpose}\0{name}".encode()).digest()):
        # Stop where one more unit would lead further away from the target than stopping does.
        if abs(count + sizes[name] - target) >= abs(count - target):
            break
        held.add(name)
        count += sizes[name]
    return held


def _positives(label: Label) -> Iterable[int]:
    if label is None:
        return (-1,)
    if isinstance(label, int):
        return (label,)
    return [index for index, value in enumerate(label) if value] or (-1,)


def assign(samples: Sequence[Sample], *, val: float, test: float) -> tuple[Sample, ...]:
    """Every sample with its split.

    What the publisher says stays. Where no split is said at all, groups with a share `test` of the images become the
    test split; other samples are for training, and unless there is a val split, groups with a share `val` of the
    training images become one.
    """
    if all(sample.split is None for sample in samples):
        samples = _move(samples, None, "test", test)
    samples = [replace(sample, split=sample.split or "train") for sample in samples]
    if all(sample.split != "val" for sample in samples):
        samples = _move(samples, "train", "val", val)
    return tuple(samples)


def _move(samples: Sequence[Sample], source: str | None, target: str, share: float) -> list[Sample]:
    pool = [sample for sample in samples if sample.split == source]
    units = [sample.unit for sample in pool]
    held = hold_out(units, [sample.label for sample in pool], share, purpose=target)
    return [
        replace(sample, split=target) if sample.split == source and sample.unit in held else sample
        for sample in samples
    ]
