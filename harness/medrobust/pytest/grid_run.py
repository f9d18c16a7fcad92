"""One grid in a run of pytest: planned when it is collected, computed when the first test needs a cell.

All of its cells that were selected are computed at once, so that they share weights and adversarial images. With
several processes (`-n`) each asks for all of them, and the leases of the store see to it that none is computed twice.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from torch import nn

from ..engine.running.progress import Silent, Terminal, Watcher
from ..engine.session import Session
from ..errors import MedrobustError
from ..grid.evidence_cells import TAG
from ..grid.plan import Entry, Plan
from ..grid.targets import Target
from ..plugins.in_memory import ORIGIN, InMemoryModel
from ..plugins.registered import RegisteredPlugin
from ..plugins.registry import Registry
from ..results.evidence import Check
from ..results.record import Record
from .cell import RobustCell
from .ids import names_of
from .marking import FIXTURE, Stochastic
from .measured import Evidence


def offer_placeholder(registry: Registry) -> None:
    """Let grids name the model of the fixture `medrobust_model`, which is known when a test runs and not before."""
    preset = (("label", FIXTURE), ("fingerprint", ""))
    registry.replace(RegisteredPlugin(FIXTURE, InMemoryModel, ORIGIN, preset, f"What the fixture {FIXTURE} returns."))


@dataclass
class _Results:
    """What a plan left."""

    plan: Plan
    problems: dict[str, str] = field(default_factory=dict)
    records: dict[str, Record] = field(default_factory=dict)
    checks: dict[tuple[str, str], dict[str, list[Check]]] = field(default_factory=dict)
    """By target and part, and then by norm."""


class GridRun:
    """A grid, planned.

    Args:
        session: where it is computed.
        source: its file or its content.
        profile, images, evidence: as in `Session.plan`.

    Raises:
        MedrobustError: for a mistake in it.
    """

    def __init__(
        self, session: Session, source: Path | Mapping[str, Any], *, profile: str, images: int | None, evidence: bool
    ) -> None:
        self.session = session
        self.source = source
        self._options: dict[str, Any] = {"profile": profile, "images": images, "evidence": evidence}
        self.plan = self._planned()
        self.names = names_of(self.plan.entries)
        self._model: object = None
        self._results: _Results | None = None

    def entry(self, index: int) -> Entry:
        """The combination at a place."""
        return self.plan.entries[index]

    def compute(self, wanted: Collection[int], request: pytest.FixtureRequest) -> None:
        """Compute what the store lacks of some combinations, unless this process has asked for them before.

        Args:
            wanted: their places.
            request: gives the fixture `medrobust_model`, if the grid names it.
        """
        self._take_model(request)
        if self._results is not None and self._results.plan is self.plan:
            return
        plan = self._part(wanted)
        with _watcher(request.config) as watcher:
            outcome = self.session.run(plan, watcher)
        found = _Results(self.plan, {cell: f"{status}: {reason}" for cell, status, reason in outcome.problems})
        found.records = dict(self.session.store.records(list(plan.cells)))
        if self._options["evidence"]:
            # Of the whole grid, as far as it is there: what a selection leaves out still speaks.
            for row in self.session.evidence(self.plan):
                norms = found.checks.setdefault((row["target"], row["part"]), {})
                check = Check(row["check"], row["outcome"], row["detail"], row["advice"])
                norms.setdefault(row["norm"], []).append(check)
        self._results = found

    def cell(self, index: int) -> RobustCell:
        """A cell that has been computed.

        Raises:
            MedrobustError: with the reason why it has no record.
        """
        entry, name = self.entry(index), self.names[index]
        assert self._results is not None
        if entry.cell is None:
            raise MedrobustError(f"{name}: impossible here: {entry.impossible or entry.excluded}")
        record = self._results.records.get(entry.cell.id)
        if record is None:
            raise MedrobustError(f"{name}: {self._results.problems.get(entry.cell.id, 'missing: it has no record')}")
        return RobustCell.of(entry, name, record, self._evidence(entry))

    def _evidence(self, entry: Entry) -> Evidence:
        assert self._results is not None
        assert entry.cell is not None
        norms = self._results.checks.get((entry.cell.target.id, entry.cell.part.id), {})
        if entry.cell.budget is not None:
            return Evidence(tuple(norms.get(str(entry.cell.budget.norm), ())))
        return Evidence(tuple(check for checks in norms.values() for check in checks))

    def _part(self, wanted: Collection[int]) -> Plan:
        """The plan of some combinations, with their clean records and the cells that evidence needs on their models."""
        entries = self.plan.entries
        cells = [cell for i in wanted if (cell := entries[i].cell) is not None]
        clean = {cell.clean_id for cell in cells}
        models = {(cell.target.id, cell.part.id) for cell in cells}

        def needed(entry: Entry) -> bool:
            cell = entry.cell
            if cell is None:
                return False
            return cell.id in clean or (TAG in entry.tags and (cell.target.id, cell.part.id) in models)

        kept = tuple(entry for i, entry in enumerate(entries) if i in wanted or needed(entry))
        return Plan(self.plan.name, self.plan.profile, kept)

    def _planned(self) -> Plan:
        return self.session.plan(self.source, **self._options)

    def _take_model(self, request: pytest.FixtureRequest) -> None:
        """Put the model of the fixture in its place, if the grid names it."""
        target = next(_under_test(self.plan), None)
        if target is None:
            return
        given = _given(request)
        if given is self._model:
            return
        module = given.module if isinstance(given, Stochastic) else given
        if not isinstance(module, nn.Module):
            raise MedrobustError(
                f"the fixture {FIXTURE} should return a torch.nn.Module that takes images in [0, 1], or "
                f"medrobust.pytest.Stochastic(module); it returns {type(given).__name__}"
            )
        shape = (target.info.channels, *target.info.size)
        self.session.add_model(FIXTURE, module, shape=shape, stochastic=isinstance(given, Stochastic))
        self._model = given
        plan = self._planned()
        if plan.cells.keys() != self.plan.cells.keys():
            assert [e.labels for i, e in enumerate(plan.entries) if i in self.names] == [
                self.entry(i).labels for i in self.names
            ]
            self.plan = plan


def _given(request: pytest.FixtureRequest) -> object:
    """What the fixture returns.

    Raises:
        MedrobustError: if it is parametrized: the cells of a grid, with their ids, are known before any test runs.
    """
    try:
        return request.getfixturevalue(FIXTURE)
    except pytest.fail.Exception as error:
        if "has no parameter defined" not in str(error):
            raise
    raise MedrobustError(
        f"the fixture {FIXTURE} has params, but gives a grid one model; take which one from the environment "
        f"(os.environ), as examples/pytest_project does, or name model plugins in the grid (model = [...])"
    )


def _under_test(plan: Plan) -> Iterator[Target]:
    """Models of a plan that are the fixture's."""
    for cell in plan.cells.values():
        for target in (cell.target, cell.source):
            plugin = target.model.plugin if target is not None else None
            if target is not None and isinstance(plugin, InMemoryModel) and plugin.label == FIXTURE:
                yield target


@contextmanager
def _watcher(config: pytest.Config) -> Iterator[Watcher]:
    """Progress on a terminal, where pytest itself writes to one; else nothing."""
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is None or hasattr(config, "workerinput"):
        yield Silent()
        return
    with capture.global_and_fixture_disabled():
        yield Terminal(Console()) if sys.stdout.isatty() else Silent()
