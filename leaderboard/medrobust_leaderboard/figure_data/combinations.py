"""The combinations of labels that make the panels, series, rows and columns of a figure, and how they are shown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from medrobust.api import Entry

from ..report import labels_of
from ..selection import Selected
from ..specs import ConfusionSpec, FigureSpec, ImagesSpec, View


def label_combinations(axes: Sequence[str], spec: FigureSpec, selected: Sequence[Selected]) -> list[dict[str, str]]:
    """Every combination of the labels of some axes; one without labels if there are no axes."""
    rules = () if isinstance(spec, ConfusionSpec | ImagesSpec) else spec.value
    labels = [labels_of(axis, spec.where, selected, rules) for axis in axes]
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*labels)]


def title_of(spec: View, key: Mapping[str, str]) -> str:
    """How a combination of labels is shown; a name for the whole (`all`, labels joined by a comma) comes first."""
    plain = ", ".join(key.values())
    named = spec.names.get("all", {}).get(plain)
    return named if named is not None else ", ".join(t for a, v in key.items() if (t := spec.shown(a, v)))


def classes_of(entry: Entry) -> tuple[str, ...]:
    """The classes of an entry's data set."""
    assert entry.cell is not None
    return entry.cell.target.info.classes
