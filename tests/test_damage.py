"""A damaged store: what is wrong is found, costs what it says, and comes back equal with the next run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrobust.api import Outcome, Record, Session, Store
from medrobust.engine.models import loading
from medrobust.lru import Kept
from medrobust.results.inventory import Inventory
from medrobust.results.losses import check_files, losses
from medrobust_leaderboard.store_results import read_results
from medrobust_leaderboard.tidy import tidy_store

TESTS = Path(__file__).parent
FILES = (TESTS / "tiny.py", TESTS / "misbehaving.py")
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["none", "sign", "one-for-all", { name = "steps", steps = [1, 3] }, { name = "misbehaving", fault = "budget" }]
budget = "linf:8/255"

[[grid]]
dataset = "textures"
model = "tiny-net"
defense = { name = "drilled", rounds = 1 }
attack = "sign"
budget = "linf:8/255"
probe = "difference"
"""
PLACES, BYTES = 200, 40
KINDS = ("cells", "samples", "requests", "fits", "parts", "artifacts", "evidence", "tensors", "store")


def session_on(place: Path) -> Session:
    return Session(place, FILES, device="cpu", workers=1)


def run(place: Path) -> Outcome:
    session = session_on(place)
    plan = session.plan(place.parent / "grid.toml", evidence=True)
    outcome = session.run(plan)
    session.evidence(plan)
    return outcome


def of_record(record: Record) -> dict[str, Any]:
    values = {field.name: getattr(record, field.name) for field in fields(record)}
    return {name: v.tobytes() if isinstance(v, np.ndarray) else v for name, v in values.items()}


def of_table(store: Store, table: str) -> list[dict[str, Any]]:
    rows = store.rows(table).drop(columns=["created", "seconds", "versions", "hardware"], errors="ignore")
    return sorted(({k: str(v) for k, v in row.items()} for row in rows.to_dict("records")), key=str)


def records(store: Store) -> dict[str, dict[str, Any]]:
    return {cell: of_record(record) for cell, record in store.records(list(store.cells([]).index))}


def tables(store: Store) -> list[dict[str, Any]]:
    return [dict(row) for row in tidy_store(read_results(store))]


@dataclass(frozen=True)
class Contents:
    """All that a store says, but for when and how long."""

    records: dict[str, dict[str, Any]]
    tables: list[dict[str, Any]]
    status: dict[str, str]
    weights: dict[str, dict[str, bytes]]
    others: dict[str, list[dict[str, Any]]]
    labels: set[tuple[str, ...]]

    @classmethod
    def of(cls, store: Store) -> Contents:
        inventory = Inventory.of(store)
        needed = {w for listed in inventory.cells["weights"].dropna() for w in listed}
        weights = {w: store.load_tensors(c) for w in sorted(needed) if (c := store.weights_of(w))}
        artifacts = {a: store.load_tensors(store.artifact(a)) for a in sorted(store.artifacts())}
        columns = ["dataset", "model", "defense", "attack", "budget", "tags", "cell", "grid"]
        return cls(
            records(store),
            tables(store),
            store.cells([])["status"].to_dict(),
            {k: {n: t.numpy().tobytes() for n, t in v.items()} for k, v in {**weights, **artifacts}.items()},
            {table: of_table(store, table) for table in ("fits", "parts", "artifacts", "evidence")},
            set(store.requests()[columns].astype(str).itertuples(index=False, name=None)),
        )


@dataclass(frozen=True)
class Whole:
    """A store without damage, the content of its files, and what it says."""

    place: Path
    files: dict[Path, bytes]
    contents: Contents

    def restore(self) -> None:
        """Put every file back as it was."""
        for file in self.place.rglob("*"):
            if file.is_file() and file not in self.files:
                file.unlink()
        for file, data in self.files.items():
            file.parent.mkdir(exist_ok=True)
            if not file.exists() or file.read_bytes() != data:
                file.write_bytes(data)

    def one_of(self, folder: str) -> Path:
        return next(file for file in self.files if file.parent.name == folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    place = tmp_path_factory.mktemp("whole") / "store"
    (place.parent / "grid.toml").write_text(GRID)
    outcome = run(place)
    assert {status for _, status, _ in outcome.problems} == {"invalid"}
    files = {file: file.read_bytes() for file in sorted(place.rglob("*")) if file.is_file()}
    return Whole(place, files, Contents.of(Store(place)))


@pytest.fixture
def whole(made: Whole) -> Iterator[Whole]:
    yield made
    made.restore()


def found(store: Store) -> bool:
    """Whether a check says that something is damaged, lost or not there."""
    check_files(store)
    if store.damaged:
        return True
    lost = losses(store)
    return not lost.whole or lost.absent > 0


def test_the_store_has_files_of_every_kind_and_is_whole(whole: Whole) -> None:
    assert {file.parent.name for file in whole.files} == set(KINDS)
    assert not found(Store(whole.place))
    assert len(whole.contents.records) == 15
    assert Contents.of(Store(whole.place)) == whole.contents


def flipped(data: bytes, start: int, rng: np.random.Generator) -> bytes:
    changed = bytearray(data)
    for place in range(start, min(start + BYTES, len(data))):
        changed[place] ^= int(rng.integers(1, 256))
    return bytes(changed)


@pytest.mark.long
def test_flipped_bytes_at_any_place_are_found_and_change_no_number(whole: Whole) -> None:
    rng = np.random.default_rng(0)
    files = list(whole.files)
    outcomes = {"found": 0, "harmless": 0}
    for number in range(PLACES):
        file = files[int(rng.integers(len(files)))]
        data = whole.files[file]
        file.write_bytes(flipped(data, int(rng.integers(len(data))), rng))
        store = Store(whole.place)
        # Some are read without a check first: each record and number is as it was, or is not there.
        if number % 4 == 0:
            assert records(store).items() <= whole.contents.records.items(), file
        if number % 20 == 0 and file.parent.name != "requests":
            assert all(row in whole.contents.tables or row["value"] is None for row in tables(store)), file
        check_files(store)
        if store.damaged:
            outcomes["found"] += 1
            (damaged,) = store.damaged
            assert damaged.name == str(file.relative_to(whole.place))
            assert len((whole.place / damaged.kept).read_bytes()) == len(data), "the damaged file is kept as it was"
        else:
            outcomes["harmless"] += 1
            assert Contents.of(store) == whole.contents, file
        whole.restore()
    print(f"40 flipped bytes at {PLACES} places: {outcomes['found']} found, {outcomes['harmless']} harmless")
    assert outcomes["found"] + outcomes["harmless"] == PLACES
    assert outcomes["found"] > PLACES / 2


@pytest.mark.parametrize("how", ["truncated", pytest.param("deleted", marks=pytest.mark.long)])
def test_any_file_that_is_cut_short_or_gone_is_missed(whole: Whole, how: str) -> None:
    rng = np.random.default_rng(1)
    for file, data in whole.files.items():
        if how == "truncated":
            file.write_bytes(data[: int(rng.integers(len(data)))])
        else:
            file.unlink()
        store = Store(whole.place)
        if not found(store):
            assert Contents.of(store) == whole.contents, f"{file}: neither found nor harmless"
        whole.restore()


@pytest.mark.long
@pytest.mark.parametrize("folder", KINDS)
@pytest.mark.parametrize("how", ["flipped", "deleted"])
def test_the_next_run_computes_what_is_lost_and_no_more(whole: Whole, folder: str, how: str) -> None:
    file = whole.one_of(folder)
    if how == "flipped":
        file.write_bytes(flipped(whole.files[file], 3, np.random.default_rng(2)))
        found(Store(whole.place))
    else:
        file.unlink()
    status = Store(whole.place).cells([])["status"].to_dict()
    lost = [cell for cell, was in whole.contents.status.items() if status.get(cell) != was]
    assert bool(lost) == (folder in ("cells", "samples"))
    outcome = run(whole.place)
    assert (outcome.made, outcome.cached) == (len(lost), len(whole.contents.status) - len(lost))
    after = Store(whole.place)
    assert Contents.of(after) == whole.contents
    assert losses(after).whole


def test_a_run_notices_by_itself_what_it_reads(whole: Whole) -> None:
    for folder in ("cells", "samples", "fits", "artifacts", "parts"):
        file = whole.one_of(folder)
        file.write_bytes(flipped(whole.files[file], 100, np.random.default_rng(3)))
    run(whole.place)
    assert Contents.of(Store(whole.place)) == whole.contents


def test_weights_that_a_step_finds_damaged_are_trained_again_in_the_same_run(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_modules", Kept(8))  # as in a fresh process
    weights = Store(whole.place).fitted()
    for folder in ("cells", "samples"):
        shutil.rmtree(whole.place / folder)
    for content in weights.values():
        file = whole.place / "tensors" / f"{content}.safetensors"
        file.write_bytes(flipped(whole.files[file], 200, np.random.default_rng(4)))
    outcome = run(whole.place)
    assert {status for _, status, _ in outcome.problems} == {"invalid"}
    assert Contents.of(Store(whole.place)) == whole.contents


def test_other_weights_than_before_take_every_cell_that_rests_on_them_along(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on another machine, where training ends at other last digits."""
    from medrobust.engine.models import weights

    seed_of = weights.seed_of
    monkeypatch.setattr(weights, "seed_of", lambda target: seed_of(target) + 1)
    session = session_on(whole.place)
    plan = session.plan(whole.place.parent / "grid.toml", evidence=True)
    fit = next(cell.target.fit_id for cell in plan.cells.values())
    content = session.store.weights_of(fit)
    (whole.place / "tensors" / f"{content}.safetensors").unlink()
    outcome = session.run(plan)
    resting = {cell.id for cell in plan.cells.values() if cell.target.defense.name == "none"}
    assert session.store.weights_of(fit) != content
    assert (outcome.made, outcome.cached) == (len(resting), len(plan.cells) - len(resting))
    after = records(session.store)
    changed = {cell for cell, record in after.items() if record != whole.contents.records[cell]}
    assert changed == resting & after.keys()
    assert after.keys() == whole.contents.records.keys()
