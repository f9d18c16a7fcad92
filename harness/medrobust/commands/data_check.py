"""`medrobust data check`: whether the files of a data set are there, as they should be, and readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from ..errors import DataUnavailable
from .printing import console, errors
from .store import say

if TYPE_CHECKING:
    from ..contracts import DataInfo, Dataset, DataSource, ImageData

SHOWN = 12
"""Classes that a line names."""


def check(dataset: Dataset, name: str, fields: Sequence[str], images: int, data_root: Path | None) -> None:
    """Describe a data set, count its splits, decode some of its images; exit status 1 where something is missing."""
    from ..contracts import DataSource
    from ..engine.context import checked_data_root, default_data_root
    from ..grid.overlap import check_splits

    source = DataSource(checked_data_root(data_root, "--data-root") or default_data_root())
    try:
        info = dataset.describe(source)
    except DataUnavailable as error:
        _tell_what_is_missing(error, dataset, name, fields)
        raise typer.Exit(1) from None
    if (members := dataset.members(source)) is not None:
        check_splits(members, name, shared_groups=info.shared_groups)
    table = Table("split", "images", "groups", "by class")
    decoded = 0
    for split in info.splits:
        data = dataset.load(split, source)
        decoded += _decode(data, images)
        groups = "" if data.groups is None else str(len(set(data.groups.tolist())))
        table.add_row(split, str(len(data)), groups, Text(_by_class(data, info)))
    say(f"{dataset.title}: {len(info.classes)} classes, {info.size[0]}x{info.size[1]} pixels, {info.channels} channels")
    console.print(table)
    say(f"{decoded} images were decoded without a fault; fingerprint {dataset.fingerprint(source) or 'none'}.")
    if not _check_sums(dataset, source):
        raise typer.Exit(1)


def _decode(data: ImageData, count: int) -> int:
    """Decode images spread over a split; a fault is an error that names the file."""
    import numpy as np

    places = np.unique(np.linspace(0, len(data) - 1, min(count, len(data))).astype(int))
    for place in places:
        _ = data.images[np.array([place])]
    return len(places)


def _by_class(data: ImageData, info: DataInfo) -> str:
    if data.labels is None:
        return "no labels"
    if data.labels.ndim == 2:
        counts = dict(zip(info.classes, data.labels.sum(axis=0).tolist(), strict=True))
    else:
        found = Counter(data.labels.tolist())
        counts = {label: found[index] for index, label in enumerate(info.classes)}
    told = ", ".join(f"{label} {count}" for label, count in list(counts.items())[:SHOWN])
    return told + (f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else "")


def _tell_what_is_missing(error: DataUnavailable, dataset: Dataset, name: str, fields: Sequence[str]) -> None:
    errors.print(Text.assemble(("not there: ", "red"), str(error)), soft_wrap=True)
    origin = dataset.origin
    if origin is None:
        return
    say(f"{origin.size}; terms: {dataset.licence}; page: {origin.page}")
    say("Below the data root:")
    for line in origin.layout:
        say(f"  {line}")
    if origin.access:
        say(f"By hand: {origin.access}.")
    if dataset.files:
        say(f"Next: medrobust data get {' '.join([name, *fields])}")


def _check_sums(dataset: Dataset, source: DataSource) -> bool:
    """Compare files that lie as they were published with their checksums; whether all are equal."""
    from ..engine.downloads import Downloads

    if source.root is None:
        return True
    equal = True
    downloads = Downloads(source.root)
    for file in dataset.files:
        if file.packing or not (place := downloads.place(file)).is_file():
            continue
        record = downloads.record(file)
        expected = file.known_hash or (record["checksum"] if record else None)
        if expected is None:
            continue
        if downloads.matches(place, expected):
            say(f"{place}: {expected.partition(':')[0]} as published")
        else:
            equal = False
            errors.print(
                Text(f"{place}: is not the published file ({expected}); medrobust data get --again fetches that"),
                soft_wrap=True,
            )
    return equal
