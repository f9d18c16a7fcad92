"""The plan: every combination that a grid asks for, with its cell or the reason why it has none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..contracts import AXES
from ..plugins.specs import Spec
from .cells import Cell


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One combination of a grid: its labels, and either its cell or why there is none."""

    labels: tuple[str, ...]
    tags: Mapping[str, str]
    cell: Cell | None
    excluded: str = ""
    """Impossible by the threat model or excluded by the grid."""
    impossible: str = ""
    """Impossible here: data or weights are missing."""
    probes: tuple[Spec, ...] = ()
    """What is measured of the cell beyond its record."""

    def row(self) -> dict[str, str]:
        """Labels by axis and tags as `tags.NAME`."""
        return dict(zip(AXES, self.labels, strict=True)) | {f"tags.{k}": v for k, v in self.tags.items()}


@dataclass(frozen=True)
class Plan:
    """All entries of a grid."""

    name: str
    profile: str
    entries: tuple[Entry, ...]

    @cached_property
    def cells(self) -> Mapping[str, Cell]:
        """Distinct cells by identity, in order."""
        return {e.cell.id: e.cell for e in self.entries if e.cell is not None}

    @cached_property
    def probes(self) -> Mapping[str, tuple[Cell, Spec]]:
        """What is measured beyond records: cell and probe by the identity under which it is kept."""
        return {e.cell.probe_id(p): (e.cell, p) for e in self.entries if e.cell is not None for p in e.probes}

    @property
    def title(self) -> str:
        """The name of the grid with its profile, under which stores keep what was asked for."""
        return f"{self.name}:{self.profile}" if self.profile else self.name

    @property
    def excluded(self) -> Iterator[Entry]:
        return (e for e in self.entries if e.excluded)

    @property
    def impossible(self) -> Iterator[Entry]:
        return (e for e in self.entries if e.impossible)


@dataclass(frozen=True)
class Done:
    """What a store holds already.

    Attributes:
        cells: identities of cells with a verdict.
        weights: identities of trained weights.
        artifacts: identities of perturbations and of what probes measured.
        parts: identities of parts of data sets that are described.
    """

    cells: Collection[str] = ()
    weights: Collection[str] = ()
    artifacts: Collection[str] = ()
    parts: Collection[str] = ()
