"""The plan: every combination that a grid asks for, with its cell or the reason why it has none."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

from ..plugins.specs import Spec
from .cells import Cell, Entry


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
