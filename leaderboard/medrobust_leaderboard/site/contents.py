"""What there is to show: cells, the models they are of, and the evidence on these, as plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from medrobust import __version__
from medrobust.api import AXES, Registry, Store

from ..labels import is_clean
from ..table import Table
from .gallery import Example
from .numbers import CellNumbers
from .telling import Telling

Evidence = Mapping[str, Any]
"""A check: its `target`, `norm`, `check`, `outcome`, `detail`, `advice`."""


@dataclass(frozen=True)
class SiteCell:
    """One cell with all that its page shows.

    Attributes:
        id: its identity; of one that a second store has from other weights, with the store's number behind it.
        names: its labels by axis; of a cell that grids call by several names, each of them.
        model: id of the page of its model.
        place: number of its store.
        status, reason: as in the store; `missing` where it was asked for and is not there.
        superseded: why it is not what was last asked for; empty for a current one.
        mark: words that distinguish it from others of the same labels.
        evidence: whether it was computed for evidence only.
        shared_groups: which patients of its images other splits have too, in words.
        row: the columns of its record that a page shows; empty where there is none.
        numbers: what its record says; None without one.
        examples: example images, if they were kept and may be shown.
        withheld: why examples that were kept are not shown.
        terms: of the images shown, with their data set.
    """

    id: str
    names: tuple[Mapping[str, str], ...]
    model: str
    place: int
    status: str
    reason: str = ""
    superseded: str = ""
    mark: str = ""
    evidence: bool = False
    shared_groups: str = ""
    row: Mapping[str, Any] = field(default_factory=dict, repr=False)
    numbers: CellNumbers | None = None
    examples: tuple[Example, ...] = ()
    withheld: str = ""
    terms: str = ""

    @property
    def labels(self) -> Mapping[str, str]:
        """Its labels under its first name."""
        return self.names[0]

    @property
    def clean(self) -> bool:
        """Whether it has no attack."""
        return is_clean(self.labels)

    @property
    def state(self) -> str:
        """One word: ok, failed, invalid, missing or superseded."""
        return "superseded" if self.superseded and self.status == "ok" else self.status

    @property
    def title(self) -> str:
        """Such as "pgd(steps=10), linf:4/255"."""
        labels = self.labels
        if self.clean:
            return "no attack"
        goal = "" if labels["goal"] == "untargeted" else f", {labels['goal']}"
        return ", ".join(part for part in (labels["attack"], labels["budget"]) if part) + goal


@dataclass(frozen=True)
class SiteModel:
    """A defended model on some images: the numbers that a table shows together.

    Attributes:
        id: for the name of its page.
        title: such as "small-cnn + bit-depth on cxr".
        labels: on the axes that its cells share.
        table: accuracy of its current cells; None if there are none.
        cells: ids of all its cells.
        targets: identities of the trained models behind it, one for each seed.
        evidence: the checks on it.
    """

    id: str
    title: str
    labels: Mapping[str, str]
    table: Table | None
    cells: tuple[str, ...]
    targets: frozenset[str]
    evidence: tuple[Evidence, ...] = ()

    @property
    def flagged(self) -> tuple[Evidence, ...]:
        """The checks that speak against its numbers."""
        return tuple(each for each in self.evidence if each["outcome"] == "flagged")


@dataclass(frozen=True)
class Contents:
    """Everything that a site shows beside rankings and papers.

    Attributes:
        stores: what was read.
        names: how the stores are called.
        cells: by id, in the order of the grids.
        models: by id, in that order.
        telling: how texts are told.
        registry: the plugins of this machine.
    """

    stores: Sequence[Store]
    names: tuple[str, ...]
    cells: Mapping[str, SiteCell]
    models: Mapping[str, SiteModel]
    telling: Telling
    registry: Registry
    version: str = __version__

    @cached_property
    def _models(self) -> Mapping[str, str]:
        return {target: m.id for m in reversed(list(self.models.values())) for target in m.targets}

    def model_page(self, targets: Sequence[str]) -> str:
        """Id of the first page that has a model of these identities; empty if there is none."""
        return next((found for target in targets if (found := self._models.get(target))), "")

    @cached_property
    def varying(self) -> tuple[str, ...]:
        """The axes on which cells differ, in the usual order; a clean cell has no label on some, which is none."""
        labels = [name for cell in self.cells.values() for name in cell.names]
        return tuple(axis for axis in AXES if len({each[axis] for each in labels} - {""}) > 1)


def slug(text: str, length: int = 40) -> str:
    """A text as a part of a file name: letters, digits and hyphens alone."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:length].strip("-")
