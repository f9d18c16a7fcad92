"""The results in one or several stores as one number for each set of labels; only seeds are averaged."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Any

from medrobust.api import AXES, NO_RECORD, Store, Value, measure, metric, over_seeds

from .labels import Where, matches
from .overlap import together
from .report import table_cell
from .store_cells import ROW_AXES, TABLE_AXES, Identity, Result, StoreCells, read_cells
from .table import TableCell


@dataclass(frozen=True)
class StoreNumber:
    """The number at one set of labels: the mean over the seeds that have one.

    Attributes:
        first: the first of its results, with the labels that all share but for the seed.
        results: one for each seed.
        shown: the number, or why there is none.
        value: what the metric says, with its interval; None without a number.
    """

    first: Result
    results: tuple[Result, ...]
    shown: TableCell
    value: Value | None = None

    @property
    def seeds(self) -> tuple[str, ...]:
        """Seeds behind the number."""
        return tuple(r.labels["seed"] for r in self.results if r.status == "ok")


@dataclass(frozen=True)
class StoreResults:
    """All numbers of a store.

    Attributes:
        metric: what they are.
        numbers: in the order of the grids.
        hidden: the reasons of superseded results that are not among them.
        identity: gives the fields of the identity of a cell.
    """

    metric: str
    numbers: tuple[StoreNumber, ...]
    hidden: tuple[str, ...]
    identity: Identity = field(repr=False)

    @property
    def targets(self) -> dict[str, Mapping[str, str]]:
        """Labels by identity of the targets that the numbers are of."""
        return {r.target: r.labels for n in reversed(self.numbers) for r in n.results if r.target}


def read_results(
    store: Store | Sequence[Store], name: str = "accuracy", *, superseded: bool = False, where: Where | None = None
) -> StoreResults:
    """The numbers of a store, or of several.

    Args:
        store: where they are.
        name: the metric.
        superseded: whether to include superseded results, marked as such.
        where: labels wanted, by axis; all if not given.

    Raises:
        MedrobustError: for an unknown metric.
    """
    scored = metric(name).scored
    cells = read_cells([store] if isinstance(store, Store) else store, superseded=superseded)
    # Metrics of detectors are about cells with one, all others about the rest.
    results = [r for r in cells.results if matches(r.labels, where or {}) and bool(r.labels["detector"]) == scored]
    values = dict(_values(cells, results, name))
    groups: dict[tuple[Any, ...], list[Result]] = {}
    for each in results:
        # Two cells of one seed never share a number: those of equal labels are marked.
        groups.setdefault((each.table_mark, each.mark, *each.key((*TABLE_AXES, *ROW_AXES))), []).append(each)
    bounds = metric(name).bounds
    numbers = tuple(_number(members, values, bounds, cells.replaced) for members in groups.values())
    return StoreResults(name, numbers, cells.hidden, cells.identity)


def _values(cells: StoreCells, results: Sequence[Result], name: str) -> Iterator[tuple[tuple[int, str], Value]]:
    for place, store in enumerate(cells.stores):
        wanted = {r.cell for r in results if r.store == place and r.status == "ok"}
        for cell, record in store.records(wanted) if wanted else ():
            yield (place, cell), measure(name, record)


def _number(
    members: Sequence[Result],
    values: Mapping[tuple[int, str], Value],
    bounds: tuple[float, float],
    replaced: AbstractSet[tuple[str, ...]],
) -> StoreNumber:
    first = members[0]
    # A record that does not join its clean record counts as missing.
    gone = {r.cell for r in members if r.status == "ok" and (r.store, r.cell) not in values}
    members = [replace(r, status="missing", reason=NO_RECORD) if r.cell in gone else r for r in members]
    good = [r for r in members if r.status == "ok"]
    bad = [r for r in members if r.status != "ok"]
    earlier = any(r.key(AXES) in replaced for r in bad if not r.superseded)
    hint = "there is an earlier, superseded number: --superseded shows it" if earlier else ""
    if not good:
        failed = next((r for r in bad if r.status in ("failed", "invalid")), None)
        why = f"{failed.status}: {failed.reason}" if failed else next((r.reason for r in bad if r.reason), "")
        note = "; ".join(part for part in (why, hint) if part)
        return StoreNumber(first, tuple(members), TableCell(state="failed" if failed else "missing", note=note))
    found = [values[r.store, r.cell] for r in good]
    value = over_seeds(found, bounds) if len(found) > 1 else found[0]
    shown = table_cell(value, None)
    notes = [
        shown.note,
        together(r.reason for r in good),
        together(r.shared_groups for r in good),
        *(_without(r) for r in bad),
        hint,
    ]
    return StoreNumber(first, tuple(members), replace(shown, note="; ".join(n for n in notes if n)), value)


def _without(result: Result) -> str:
    seed = result.labels["seed"]
    if result.status == "missing":
        return f"without seed {seed} ({result.reason or 'not computed'})"
    return f"without seed {seed} ({result.status}: {result.reason})"
