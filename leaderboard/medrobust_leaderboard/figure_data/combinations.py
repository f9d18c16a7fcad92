"""The combinations of labels that make the panels, series, rows and columns of a figure, and how they are shown."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

from medrobust.api import Entry

from ..figure_specs import EXAMPLE, SHOW, BarsSpec, CurvesSpec, FigureSpec, ImagesSpec, SurfacesSpec
from ..report import labels_of
from ..selection import Selected
from ..views import View


def label_combinations(axes: Sequence[str], spec: FigureSpec, selected: Sequence[Selected]) -> list[dict[str, str]]:
    """Every combination of the labels of some axes; one without labels if there are no axes."""
    labels = [_labels(axis, spec, selected) for axis in axes]
    return [dict(zip(axes, combination, strict=True)) for combination in itertools.product(*labels)]


def _labels(axis: str, spec: FigureSpec, selected: Sequence[Selected]) -> Sequence[str]:
    """The labels of an axis; what is shown and the numbers of the examples are axes of some figures."""
    if axis == SHOW and isinstance(spec, ImagesSpec):
        return spec.show
    if axis == EXAMPLE and isinstance(spec, ImagesSpec | SurfacesSpec):
        return [str(number) for number in range(spec.examples)]
    return labels_of(axis, spec.where, selected, spec.value if isinstance(spec, CurvesSpec | BarsSpec) else ())


def title_of(spec: View, key: Mapping[str, str]) -> str:
    """How a combination of labels is shown; a name for the whole (`all`, labels joined by a comma) comes first."""
    plain = ", ".join(key.values())
    named = spec.names.get("all", {}).get(plain)
    return named if named is not None else ", ".join(t for a, v in key.items() if (t := spec.shown(a, v)))


def classes_of(entry: Entry) -> tuple[str, ...]:
    """The classes of an entry's data set."""
    assert entry.cell is not None
    return entry.cell.target.info.classes
