"""The command `merge`: what becomes of equal, contradicting, damaged and superseded cells."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from medrobust.api import Inventory, Store
from medrobust.results.schema import TABLES
from medrobust.results.tables import stem_of

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = {attacks}
budget = "linf:8/255"
"""
MINE = '''
from dataclasses import dataclass
from typing import ClassVar

from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Mine(Attack):
    """Takes a share of the budget."""

    name: ClassVar[str] = "mine"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")

    def perturb(self, classifier, images, goal, budget, rng):
        return (images + SHARE * budget.eps).clamp(0, 1)
'''
Run = Callable[..., Path]


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Run:
    """Run attacks into a store of a name; each in a folder of its own, as with another person."""

    def run(name: str, attacks: Iterable[str], *options: object, folder: str = "") -> Path:
        grid = tmp_path / (folder or f"of-{name}") / "grid.toml"
        grid.parent.mkdir(exist_ok=True)
        grid.write_text(GRID.format(attacks=json.dumps(list(attacks))))
        assert program("run", grid, "--store", name, *options).status == 0
        return tmp_path / name

    return run


@pytest.fixture
def merged(program: Program, tmp_path: Path) -> Callable[..., Any]:
    """Merge stores into `board`; how the command ended, and the store."""

    def merge(*stores: object) -> Any:
        told = program("merge", *stores, "--out", "board", plugins=())
        return told, Store(tmp_path / "board")

    return merge


def change(store: Store, table: str, change: Callable[[dict[str, Any]], None]) -> None:
    """Change every row of a table."""
    for file in store.tables.names(table):
        rows = store.tables.read_file(table, file).to_pylist()
        for row in rows:
            change(row)
        store.tables.replace(table, stem_of(file), [file], pa.Table.from_pylist(rows, schema=TABLES[table]))


def attacks_of(store: Store) -> list[str]:
    return sorted(store.cells(["attack"])["attack"])


def numbers(told: Any, store: str) -> list[str]:
    """The row of a store in the table that was printed."""
    line = next(line for line in told.out.splitlines() if line.startswith(f"│ {store} "))
    return [part.strip() for part in line.strip("│").split("│")[1:]]


def test_two_stores_become_one(ran: Run, merged: Callable[..., Any], program: Program) -> None:
    first, second = ran("a", ["sign", "hum"]), ran("b", ["sign", "one-for-all"])
    told, board = merged(first, second)
    assert told.status == 0, told
    assert numbers(told, "a") == ["3", "3", "", "", ""]
    assert numbers(told, "b") == ["3", "1", "2", "", ""]
    assert attacks_of(board) == ["hum", "none", "one-for-all", "sign"]
    cells = board.cells(["cell"])["cell"]
    assert len(dict(board.records(cells))) == 4
    assert Inventory.of(board).having("current") == set(cells)
    assert program("verify", "board").status == 0
    assert "Nothing is known to be lost." in program("store", "check", "board", plugins=()).out
    # Again, and with the board itself among the stores: nothing is new.
    told, again = merged("board", first, second)
    assert numbers(told, "a") == ["3", "", "3", "", ""]
    assert attacks_of(again) == attacks_of(board)


@pytest.mark.long
def test_the_order_of_stores_does_not_matter_where_they_agree(ran: Run, program: Program, tmp_path: Path) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["hum"])
    stores = []
    for name, pair in (("ab", (first, second)), ("ba", (second, first))):
        assert program("merge", *pair, "--out", name, plugins=()).status == 0
        stores.append(Store(tmp_path / name))
    one, other = (dict(s.records(s.cells(["cell"])["cell"])) for s in stores)
    assert one.keys() == other.keys()
    assert all((one[cell].adversarial == other[cell].adversarial).all() for cell in one)


def test_of_contradicting_results_the_first_stays_and_the_status_says_so(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["sign", "hum"])
    change(Store(second), "samples", lambda row: row.update(logits=row["logits"][::-1]))
    told, board = merged(first, second)
    assert told.status == 1
    assert numbers(told, "b") == ["3", "1", "", "", "2"]
    assert told.out.count("contradicts an earlier store, whose result stays: logits differ by up to ") == 2
    cells = Store(first).cells(["cell"])["cell"]
    mine, kept = dict(Store(first).samples(cells)), dict(board.samples(cells))
    assert all((mine[cell].logits == kept[cell].logits).all() for cell in cells)


@pytest.mark.long
def test_a_verdict_is_not_replaced_by_a_better_one(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["sign"])
    invalid = {"status": "invalid", "reason": "leaves the box", "samples": None}
    change(Store(first), "cells", lambda row: row.update(invalid) if row["attack"] == "sign" else None)
    told, board = merged(first, second)
    assert told.status == 1
    assert "ok, and invalid in an earlier store" in told.out
    frame = board.cells(["attack", "status"]).set_index("attack")
    assert frame.loc["sign", "status"] == "invalid"


@pytest.mark.long
def test_a_failed_cell_is_replaced_by_a_result(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["sign"])
    failed = {"status": "failed", "reason": "out of memory", "samples": None}
    change(Store(first), "cells", lambda row: row.update(failed) if row["attack"] == "sign" else None)
    told, board = merged(first, second)
    assert told.status == 0
    assert set(board.cells(["status"])["status"]) == {"ok"}
    # The other way round nothing is lost.
    told, board = merged("board", first)
    assert set(board.cells(["status"])["status"]) == {"ok"}


@pytest.mark.long
def test_cells_of_other_trainings_of_a_model_are_left_out(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["sign", "hum"])
    store = Store(second)
    (old,) = store.fitted().values()
    new = store.save_tensors({name: value + 0.01 for name, value in store.load_tensors(old).items()})
    change(store, "fits", lambda row: row.update(weights=new))
    change(store, "cells", lambda row: row.update(made_from=[t.replace(old, new) for t in row["made_from"]]))
    told, board = merged(first, second)
    assert told.status == 0
    assert numbers(told, "b") == ["3", "", "", "3", ""]
    assert "3 cells left out: they rest on other weights" in told.out
    assert attacks_of(board) == ["none", "sign"]
    assert Inventory.of(board).having("missing")
    # Computed again on the board, as it is told: with the weights that are there.
    board_fit = board.fitted()
    ran("board", ["sign", "hum"], folder="of-b")
    assert attacks_of(board) == ["hum", "none", "sign"]
    assert board.fitted() == board_fit


@pytest.mark.long
def test_cells_of_other_images_are_left_out(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["hum"])
    change(Store(second), "parts", lambda row: row.update(fingerprint="0" * 16))
    told, board = merged(first, second)
    assert "2 cells left out: they are of other images or labels" in told.out
    assert attacks_of(board) == ["none", "sign"]


def test_labels_that_are_others_are_left_out(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["hum"])
    frame = Store(second).cells(["attack", "samples"]).set_index("attack")
    record = frame.loc["hum", "samples"]
    change(Store(second), "samples", lambda row: row.update(label=[0]) if row["record"] == record else None)
    told, board = merged(first, second)
    assert "1 cell left out: they are of other images or labels" in told.out
    assert attacks_of(board) == ["none", "sign"]


def test_damaged_files_are_told_and_the_rest_is_taken(ran: Run, merged: Callable[..., Any]) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["hum"])
    store = Store(second)
    records = dict.fromkeys(store.cells(["samples"])["samples"])
    (broken, *_) = [f for f in store.tables.names("samples") if set(records) & store.tables._records_in(f)]
    path = second / broken.name
    path.write_bytes(path.read_bytes()[:-40])
    told, board = merged(first, second)
    assert f"b: damaged: {broken.name}" in told.out
    assert "left out: they lost their record" in told.out
    assert "sign" in attacks_of(board)


@pytest.mark.long
def test_results_of_older_code_are_superseded_in_the_union(
    ran: Run, merged: Callable[..., Any], tmp_path: Path, tiny: Path
) -> None:
    for share in ("0.5", "1.0"):
        folder = tmp_path / share
        folder.mkdir()
        (folder / "mine.py").write_text(MINE.replace("SHARE", share))
        ran(f"store-{share}", ["mine"], "--plugin", folder / "mine.py")
    told, board = merged("store-0.5", "store-1.0")
    assert told.status == 0
    assert "1 cell superseded by what another of these stores asked for later: other source of attack 'm" in told.out
    assert "give plugin files or grids different names" in told.out
    (old,) = Inventory.of(board).having("superseded")
    assert old in Store(tmp_path / "store-0.5").cells(["cell"]).index
    # It is told once, in whatever order they come: what counts is when it was asked for.
    assert "superseded" not in merged("store-1.0", "store-0.5")[0].out


@pytest.mark.long
def test_grids_of_one_name_stay_two(ran: Run, merged: Callable[..., Any], tmp_path: Path) -> None:
    first, second = ran("a", ["sign"], folder="work"), ran("b", ["hum"], folder="work")
    told, board = merged(first, second)
    assert "b: its grid 'work/grid' is now 'b/work/grid', as an earlier store has one of that name." in told.out
    assert set(board.requests()["grid"]) == {"work/grid", "b/work/grid"}
    assert len(Inventory.of(board).having("current")) == 3


@pytest.mark.long
def test_hashed_ids_of_a_submission_become_those_of_the_board(
    ran: Run, merged: Callable[..., Any], program: Program
) -> None:
    first, second = ran("a", ["sign"]), ran("b", ["hum"])
    assert program("submit", second, "--out", "b.zip").status == 0
    told, board = merged(first, "b.zip")
    assert told.status == 0, told
    assert "b: its hashed ids stand for the images of an earlier store, by their order." in told.out
    records = dict(board.records(board.cells(["cell"])["cell"]))
    assert len(records) == 3
    own = dict(Store(first).samples(Store(first).cells(["cell"])["cell"]))
    ids = next(iter(own.values())).ids.tolist()
    assert all(record.ids.tolist() == ids for record in records.values())


def test_what_cannot_be_merged_is_said(ran: Run, merged: Callable[..., Any], tmp_path: Path) -> None:
    first = ran("a", ["sign"])
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "store.json").write_text('{"schema": 1}')
    (tmp_path / "no.zip").write_text("no")
    for store, why in (("old", "store of schema 1"), ("gone", "is not a store"), ("no.zip", "is no zip file")):
        told, board = merged(first, store)
        assert told.status == 1
        assert why in told.err
        assert not board.exists
    assert "nothing to put into board" in merged("board")[0].err
