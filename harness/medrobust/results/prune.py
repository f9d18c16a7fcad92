"""Removing from a store what is not needed: superseded and failed results, and what no result refers to.

Rows are removed before what they refer to, and where some rows of a file stay, they are written before it is removed.
If the process is killed, nothing that is needed is lost; the next call removes the rest. Damaged files that were set
aside are never removed.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from .inventory import Inventory
from .leases import FOLDER as LEASES
from .objects import Found
from .schema import KEYS, TABLES
from .store import Store
from .tables import stem_of
from .tensors import FOLDER as TENSORS
from .tensors import content_of

GRACE = 60.0
"""Seconds for which a file is left alone that nothing refers to: a run may be about to write the row that does."""


@dataclass
class Removal:
    """What a call of `prune` removed, or would remove.

    Attributes:
        superseded, failed: cells.
        orphans: by table (`tensors` and `temporary files` among them), how many entries nothing needs any more.
        bytes: about how much room that makes; of a file that stays in part, its share.
        kept: cells that stay.
    """

    superseded: int = 0
    failed: int = 0
    orphans: dict[str, int] = field(default_factory=dict)
    bytes: int = 0
    kept: int = 0

    @property
    def cells(self) -> dict[str, int]:
        """Cells by the reason for which they go."""
        return {"superseded": self.superseded, "failed": self.failed}

    @property
    def nothing(self) -> bool:
        """Whether there was nothing to remove."""
        return not (self.superseded or self.failed or any(self.orphans.values()))


@dataclass(frozen=True)
class _Needs:
    """Keys by table that a set of cells depends on."""

    cells: frozenset[str]
    samples: frozenset[str]
    fits: frozenset[str]
    artifacts: frozenset[str]
    parts: frozenset[str]
    evidence: frozenset[str]
    tensors: frozenset[str]


def prune(
    store: Store,
    *,
    superseded: bool = True,
    failed: bool = True,
    orphaned: bool = True,
    dry_run: bool = False,
    grace: float = GRACE,
) -> Removal:
    """Remove superseded results, failed ones, and what no remaining result needs.

    Results go with the weights, perturbations and samples that they alone need; `orphaned` adds whatever else nothing
    refers to and what killed writes left. What a current cell needs stays, computed or not.

    Args:
        grace: leave files alone that nothing refers to and that are younger, in seconds.

    Raises:
        StoreError: if a file is damaged or cannot be written.
    """
    inventory = Inventory.of(store)
    gone_superseded = inventory.having("superseded") if superseded else set()
    without_result = set(inventory.cells.index[inventory.cells["status"] == "failed"])
    gone_failed = without_result - gone_superseded if failed else set()
    everything = set(inventory.cells["cell"])
    keep = everything - gone_superseded - gone_failed
    # A clean record stays as long as a number is compared with it.
    keep |= everything & set(inventory.cells.loc[sorted(keep), "clean"].dropna()) - gone_failed
    gone_superseded = (gone_superseded & everything) - keep
    before, after = _needs(store, inventory, everything), _needs(store, inventory, keep)
    # Tensors of rows that go now go with them; those of no row may be about to get one.
    known = {*store.rows("fits")["weights"], *store.rows("artifacts")["content"]} if orphaned else before.tensors
    plan = _Plan(store, before, after, known, orphaned=orphaned, dry_run=dry_run, youngest=time.time() - grace)
    removal = Removal(len(gone_superseded), len(gone_failed), kept=len(keep))
    cells = everything - keep

    def failed_or_gone(rows: pa.Table, *, young: bool) -> pa.Array:
        gone = _is_in(rows["cell"], cells)
        return pc.or_(gone, pc.equal(rows["status"], "failed")) if failed else gone

    removal.bytes += plan.rows("cells", ["cell", "status"], failed_or_gone)[1]
    removal.bytes += plan.rows("requests", ["cell"], lambda rows, young: _is_in(rows["cell"], gone_superseded))[1]
    for table in ("samples", "evidence", "fits", "artifacts", "parts"):
        count, size = plan.unneeded(table)
        removal.orphans[table] = count
        removal.bytes += size
    for name, files in (("tensors", plan.tensors()), ("temporary files", plan.leftovers() if orphaned else ())):
        removed = [file.size for file in files]
        removal.orphans[name] = len(removed)
        removal.bytes += sum(removed)
    plan.remove()
    return removal


def _needs(store: Store, inventory: Inventory, cells: Collection[str]) -> _Needs:
    """What cells need, and what those need that are asked for and have no result yet."""
    kept = inventory.cells.loc[sorted(cells)]
    waiting = inventory.having("missing", "failed")
    asked = inventory.requests[inventory.requests["cell"].isin(waiting)]
    weights = {w for frame in (kept, asked) for listed in frame["weights"].dropna() for w in listed}
    perturbations = {p for frame in (kept, asked) for p in frame["perturbation"].dropna()}
    fits = store.rows("fits")
    if kept["weights"].isna().any():
        # Records that do not say what they depend on may depend on anything.
        weights |= set(fits["fit"])
    artifacts = store.rows("artifacts")
    probed = artifacts["description"].map(probed_cell)
    wanted = artifacts["artifact"].isin(perturbations) | probed.isin({*cells, *waiting, ""})
    wanted &= (artifacts["kind"] != "perturbation") | artifacts["artifact"].isin(perturbations)
    contents = {*fits.loc[fits["fit"].isin(weights), "weights"], *artifacts.loc[wanted, "content"]}
    return _Needs(
        cells=frozenset(cells),
        samples=frozenset(kept["samples"].dropna()),
        fits=frozenset(weights),
        artifacts=frozenset(artifacts.loc[wanted, "artifact"]),
        parts=frozenset(kept["part"].dropna()),
        evidence=frozenset(kept["target"].dropna()),
        tensors=frozenset(contents),
    )


def probed_cell(description: object) -> str:
    """The cell that an artifact is a probe of, by its description; empty where it is none."""
    return str(json.loads(description).get("cell", "")) if isinstance(description, str) else ""


@dataclass
class _Plan:
    store: Store
    before: _Needs
    after: _Needs
    tensors_known: Collection[str]
    orphaned: bool
    dry_run: bool
    youngest: float
    doomed: list[Found] = field(default_factory=list)

    def unneeded(self, table: str) -> tuple[int, int]:
        """Remove the rows of a table that nothing needs; how many entries and bytes."""
        if table == "samples":
            return self.rows(table, ["record"], self._unneeded_samples)
        key = "target" if table == "evidence" else KEYS[table]
        needed, before = getattr(self.after, table), getattr(self.before, table)

        def gone(rows: pa.Table, *, young: bool) -> pa.Array:
            column = rows[key]
            unneeded = pc.invert(_is_in(column, needed))
            return unneeded if self.orphaned else pc.and_(unneeded, _is_in(column, before))

        return self.rows(table, [key], gone)

    def _unneeded_samples(self, rows: pa.Table, *, young: bool) -> pa.Array:
        column = rows["record"].cast(pa.string())
        if self.orphaned and not young:
            return pc.invert(_is_in(column, self.after.samples))
        return _is_in(column, self.before.samples - self.after.samples)

    def rows(self, table: str, columns: list[str], gone: Callable[..., pa.Array]) -> tuple[int, int]:
        """Remove rows from the files of a table; how many distinct entries, and about how many bytes."""
        entries: set[str] = set()
        size = 0
        tables = self.store.tables
        for file in tables.names(table):
            young = file.modified > self.youngest
            looked_at = tables.read_file(table, file, columns)
            mask = gone(looked_at, young=young)
            count = pc.sum(pc.cast(mask, pa.int64())).as_py() or 0
            if not count:
                continue
            entries |= set(looked_at[columns[0]].filter(mask).cast(pa.string()).unique().to_pylist())
            size += file.size * count // len(looked_at)
            if self.dry_run:
                continue
            if count == len(looked_at):
                self.store.objects.remove(file.name)
            else:
                rest = tables.read_file(table, file).filter(pc.invert(mask))
                tables.replace(table, stem_of(file), [file], rest)
        return len(entries), size

    def tensors(self) -> Iterator[Found]:
        """Tensor files that nothing needs, which are removed in the end."""
        for file in self.store.tensors.names():
            content = content_of(file)
            if content in self.after.tensors:
                continue
            if content in self.tensors_known or (self.orphaned and file.modified <= self.youngest):
                self.doomed.append(file)
                yield file

    def leftovers(self) -> Iterator[Found]:
        """What killed writes and killed runs left: a lease is renewed more often than once in the time of grace."""
        objects = self.store.objects
        unfinished = (objects.unfinished(folder) for folder in ("", *TABLES, TENSORS, LEASES))
        for file in itertools.chain(*unfinished, objects.listing(LEASES)):
            if file.modified <= self.youngest:
                self.doomed.append(file)
                yield file

    def remove(self) -> None:
        """Remove the files that `tensors` and `leftovers` named."""
        if not self.dry_run:
            for file in self.doomed:
                self.store.objects.remove(file.name)


def _is_in(column: pa.ChunkedArray, values: Collection[str]) -> pa.Array:
    found = pc.is_in(column, pa.array(sorted(values), pa.string()))
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found
