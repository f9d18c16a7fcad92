"""Verifying a store: cells are rebuilt from their records, run anew in another store, and compared."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import pandas as pd

from ..contracts import AXES
from ..errors import DataUnavailable, MedrobustError, StoreError
from ..grid.cells import Cell
from ..grid.plan import Entry, Plan
from ..results.agreement import compare_samples, differing
from ..results.inventory import Inventory
from ..results.metrics import compare, measure
from ..results.publication import named_as
from ..results.record import Record
from ..results.samples import Samples
from ..results.store import Store
from .context import hardware, versions
from .records import ContradictionError, NotRunnableError, lend, restored
from .running.progress import Watcher
from .session import Session

Outcome = Literal["equal", "rounding", "interval", "different", "not run"]
MEASURED = ("eps", "control", "images", "draws")
"""Columns that a run measures and that no rounding changes."""
REPEATED = ("iterations", "diagnosis")
"""Columns that are the same where logits are the same bit by bit."""


@dataclass(frozen=True)
class Verification:
    """The result of verifying one cell.

    Attributes:
        cell: its identity.
        what: the cell in words.
        outcome: `equal` bit by bit; `rounding`: equal within float32 rounding (`agreement.TOLERANCE`); `interval`: made
            with other weights, and the interval of the difference holds 0; `different`; or `not run`.
        detail: how it differs, or why it was not run.
        images: sample ids whose logits or norms differ by more than rounding.
        decisions: number of images with another decision, if logits were compared and differ.
        remark: what differs on this machine, if the record is not equal bit by bit.
    """

    cell: str
    what: str
    outcome: Outcome
    detail: str = ""
    images: tuple[str, ...] = ()
    decisions: int | None = None
    remark: str = ""

    @property
    def holds(self) -> bool:
        """Whether the record was confirmed."""
        return self.outcome in ("equal", "rounding", "interval")


def draw_cells(store: Store, count: int, seed: int) -> list[str]:
    """As many of a store's current cells, failed ones among them, drawn at random; all where there are fewer.

    Superseded results are left out, as no table shows them.
    """
    there = sorted(set(store.cells(["cell"])["cell"]) & Inventory.of(store).having("current", "failed"))
    return random.Random(seed).sample(there, min(count, len(there)))


def verify_cells(
    store: Store,
    cells: Sequence[str],
    session: Session,
    *,
    refit: bool = False,
    by_position: bool = False,
    watcher: Watcher | None = None,
) -> list[Verification]:
    """Run cells of a store again from their records alone, and compare the results.

    Args:
        store: where the records, weights and perturbations are; nothing is written to it.
        cells: identities.
        session: on a store of its own that holds nothing yet, with the plugins and data that the cells need.
        refit: train models, defenses and universal perturbations anew. What is then not equal is compared by the 95 %
            interval of the difference of a rate over the same images (accuracy, targeted success, or fooling rate where
            there are no labels; McNemar's pairs, patients counted as clusters). It speaks of images, not of how
            trainings scatter.
        by_position: the ids in the store are hashes, as in a submission: images are the same by their place.
        watcher: receives progress.
    """
    rows = _rows(store.cells().loc[list(cells)])
    session.store.create()
    wanted: dict[str, Cell] = {}
    found: dict[str, Verification] = {}
    for identity, row in rows.items():
        try:
            wanted[identity] = _prepared(row, store, session, refit=refit)
        except ContradictionError as error:
            found[identity] = Verification(identity, in_words(row), "different", str(error))
        except (NotRunnableError, StoreError) as error:
            found[identity] = Verification(identity, in_words(row), "not run", str(error))
    if wanted:
        # Read first: a file that is damaged ends this before anything is computed.
        stored = dict(store.samples(wanted))
        session.run(_plan(wanted.values(), with_clean=refit), watcher)
        found |= _Comparison(store, session, rows, refit=refit, by_position=by_position).of(wanted, stored)
    return [found[identity] for identity in rows]


def _rows(frame: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """The rows of the table `cells` by identity."""
    return {str(row["cell"]): {str(k): v for k, v in row.items()} for row in frame.to_dict("records")}


def _prepared(row: Mapping[str, Any], store: Store, session: Session, *, refit: bool) -> Cell:
    """The cell of a row, with what it needs in the session's store."""
    cell = restored(row, session.metadata)
    if not refit:
        lend(cell, store, session.store)
    elif absent := _absent_checkpoints(row, session):
        raise NotRunnableError(f"{', '.join(absent)} cannot be found, from which training starts")
    return cell


def _absent_checkpoints(row: Mapping[str, Any], session: Session) -> list[str]:
    """Checkpoints of a record that are not on this machine."""
    absent = []
    for path in json.loads(row["definition"]).get("checkpoints", {}):
        try:
            session.context.source.find(path, what=f"checkpoint '{path}'")
        except DataUnavailable:
            absent.append(path)
    return absent


def _plan(cells: Iterable[Cell], *, with_clean: bool) -> Plan:
    wanted = [each for cell in cells for each in ((cell, cell.clean) if with_clean else (cell,))]
    entries = [Entry(tuple(cell.axes()[axis] for axis in AXES), {}, cell) for cell in wanted]
    return Plan("verify", "", tuple(entries))


def in_words(row: Mapping[str, Any]) -> str:
    """A cell by the columns of its row, in short: `medrobust why` has the rest."""
    defense = "" if row["defense"] in ("none", None) else f" + {row['defense']}"
    crafted = f", crafted on {row['surrogate_architecture']}" if row["surrogate"] else ""
    attack = "clean" if row["attack"] == "none" else f"{row['attack']} {row['budget']} {row['goal']}"
    crafted += f", detected by {row['detector']}" if row["detector"] else ""
    dataset = str(row["dataset"]).partition("(")[0]
    return f"{attack}, {row['architecture']}{defense} on {dataset}, seed {row['seed']}{crafted}"


class _Comparison:
    """Compares the records of two stores: of the one that is verified, and of the session's."""

    def __init__(
        self,
        store: Store,
        session: Session,
        rows: Mapping[str, Mapping[str, Any]],
        *,
        refit: bool,
        by_position: bool,
    ) -> None:
        self.store = store
        self.session = session
        self.rows = rows
        self.refit = refit
        self.by_position = by_position
        self.trained = session.store.fitted().keys()
        self.again = _rows(session.store.cells())

    def of(self, cells: Mapping[str, Cell], stored: Mapping[str, Samples]) -> dict[str, Verification]:
        """What became of each cell, given what the store holds of its images."""
        anew = dict(self.session.store.samples(cells))
        return {i: self._verification(i, cell, stored.get(i), anew.get(i)) for i, cell in cells.items()}

    def _verification(self, identity: str, cell: Cell, stored: Samples | None, anew: Samples | None) -> Verification:
        found = self._compared(identity, cell, stored, anew)
        remark = "" if found.outcome == "equal" else self._remark(identity)
        return replace(found, remark=remark)

    def _compared(self, identity: str, cell: Cell, stored: Samples | None, anew: Samples | None) -> Verification:
        row, again = self.rows[identity], self.again[identity]
        found = Verification(identity, in_words(row), "different")
        if row["status"] != again["status"]:
            if self.refit and not self._was_trained(cell):
                return replace(found, outcome="not run", detail=f"training failed: {again['reason']}")
            return replace(found, detail=f"{_verdict(row)} in the store, {_verdict(again)} here")
        if row["status"] != "ok":
            return replace(found, outcome="equal", detail=f"{row['status']} here too")
        if stored is None or anew is None:
            return replace(found, detail="the store does not hold its samples")
        stored = named_as(stored, anew) if self.by_position else stored
        agreement = compare_samples(stored, anew, multilabel=row["task"] == "multilabel")
        names = (*MEASURED, *REPEATED) if agreement.degree == "equal" else MEASURED
        if told := "; ".join(words for _, words in differing(row, again, names)):
            return replace(found, detail=told)
        if agreement.degree == "different" and self.refit:
            outcome, detail = self._by_interval(identity, cell)
            return replace(found, outcome=outcome, detail=detail, decisions=agreement.decisions)
        detail = agreement.detail
        if agreement.degree == "different" and row["reason"]:
            detail = f"{detail}; {row['reason']}"
        images, decisions = agreement.images, agreement.decisions
        return replace(found, outcome=agreement.degree, detail=detail, images=images, decisions=decisions)

    def _was_trained(self, cell: Cell) -> bool:
        """Whether the weights that a cell rests on could be made here."""
        targets = (cell.target, *([cell.source] if cell.source else []))
        return all(target.weights_id() in self.trained for target in targets)

    def _by_interval(self, identity: str, cell: Cell) -> tuple[Outcome, str]:
        """How records made with two trainings compare."""
        anew, stored = (dict(store.records([identity])).get(identity) for store in (self.session.store, self.store))
        if anew is None or stored is None:
            return "not run", "the clean record that it is compared with is missing"
        stored = named_as(stored, anew) if self.by_position else stored
        name = _metric_of(cell, stored)
        try:
            found = compare(name, anew, stored)
        except MedrobustError as error:
            return "different", str(error)
        if found.low is None or found.high is None:
            return "different", f"{name} cannot be compared: {found.reason}"
        here, there = (100 * (measure(name, record).scalar or 0.0) for record in (anew, stored))
        ends = f"[{100 * found.low:+.1f}, {100 * found.high:+.1f}]"
        words = (
            f"{name} {there:.1f} % in the store, {here:.1f} % after training anew: {here - there:+.1f} points {ends}"
        )
        return ("interval" if found.low <= 0 <= found.high else "different"), words

    def _remark(self, identity: str) -> str:
        """What is other on this machine."""
        row, again = self.rows[identity], self.again[identity]
        then, now = _versions(row), versions()
        told = [f"{name} {then.get(name, 'unknown')} (here {now[name]})" for name in now if then.get(name) != now[name]]
        if row["hardware"] != (here := hardware(self.session.device)):
            told.append(f"{row['hardware'] or 'unknown hardware'} (here {here})")
        if row["batch_size"] != again["batch_size"] and row["status"] == again["status"] == "ok":
            told.append(f"batches of {row['batch_size']:.0f} (here {again['batch_size']:.0f})")
        remarks = [f"made with {', '.join(told)}"] if told else []
        remarks += [
            f"checkpoint {path} is not here, so its recorded content is believed"
            for path in _absent_checkpoints(row, self.session)
        ]
        return "; ".join(remarks)


def _versions(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a record was made with, as far as it can be read."""
    try:
        found = json.loads(row["versions"] or "{}")
    except (TypeError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _verdict(row: Mapping[str, Any]) -> str:
    return f"{row['status']} ({row['reason']})" if row["reason"] else str(row["status"])


def _metric_of(cell: Cell, record: Record) -> str:
    """The rate by which a cell is compared with its repetition."""
    if cell.goal is not None and cell.goal.targeted:
        return "targeted_success"
    return "fooling_rate" if record.labels is None else "accuracy"
