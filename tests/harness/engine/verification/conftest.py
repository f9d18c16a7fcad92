"""A store with cells of every kind, verification of it in a store of its own, and forging of its rows."""

from __future__ import annotations

import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from medrobust.api import Session, Store, Verification, parse_grid, verify_cells
from medrobust.results.schema import TABLES
from medrobust.results.store import cell_of_record
from medrobust.results.tables import stem_of

TESTS = Path(__file__).parents[3]
FILES = (TESTS / "tiny.py", TESTS / "misbehaving.py")
BATCHED = '''
"""An attack that depends on its batch and draws from every global generator."""

import random
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch

from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Batched(Attack):
    name: ClassVar[str] = "batched"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"}, knowledge="none")
    batch_size: ClassVar[int | None] = 7
    global_rng: ClassVar[bool] = True

    def perturb(self, classifier, images, goal, budget, rng):
        share = (torch.rand(()) + np.random.rand() + random.random()) / 3
        return (images + share * (images.mean(dim=0) - images).clamp(-budget.eps, budget.eps)).clamp(0, 1)
'''
GRID = """
[define]
pretrained = { name = "tiny-net", init = { pretrain_on = { name = "textures", size = 9 } }, recipe = { epochs = 2 } }

[[grid]]
dataset = "textures"
model = ["tiny-net", "@pretrained"]
attack = [
    "sign", { name = "steps", steps = [1, 4] }, "one-for-all", { name = "halved", of = "one-for-all" },
    { name = "all-of", of = ["hum", { name = "steps", steps = 2 }] }, "batched",
]
budget = "linf:16/255"

[[grid]]
dataset = { name = "textures", classes = 3 }
model = "tiny-net"
defense = ["blur", "jitter", "shaken", { name = "drilled", rounds = [1, 2] }]
attack = [{ name = "steps", steps = 3, step_size = "eps/2" }, "one-for-all"]
budget = "linf:zeta=9%"
goal = ["predicted", "target:c"]

[[grid]]
dataset = { name = "textures", multilabel = true }
train_set = "train[:50%]"
model = "tiny-net"
attack = ["steps", "one-for-all"]
budget = "linf:16/255"
surrogate = [{ train_set = "train[50%:]", model = { name = "tiny-net", instance = 3 } }, { defense = "blur", seed = 4 }]
evaluate_on = ["test[25%:]", { name = "textures", labelled = false }]
goal = "predicted"

[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["steps", { name = "all-of", of = ["hum", "sign"] }]
budget = "linf:20/255"
stop = "success"
precision = "mixed"
images = 12

[[grid]]
dataset = "textures"
model = "tiny-net"
attack = [{ name = "misbehaving", fault = "raises" }, { name = "misbehaving", fault = "nan" }]
budget = "linf:8/255"
"""

Row = dict[str, Any]
Open = Callable[..., Session]
Verify = Callable[..., dict[str, Verification]]
Forge = Callable[[Store, str, str, Callable[[Row], None]], Store]


@pytest.fixture(scope="session")
def opened() -> Open:
    """A session at a path with the tiny plugins, the misbehaving ones and further files."""

    def make(path: Path, *files: Path) -> Session:
        return Session(path, (*FILES, *files), device="cpu", workers=1)

    return make


@pytest.fixture(scope="session")
def batched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The local plugin file of `batched`, which declares no revision."""
    file = tmp_path_factory.mktemp("plugins") / "batched_plugin.py"
    file.write_text(BATCHED)
    return file


@pytest.fixture(scope="session")
def ran(tmp_path_factory: pytest.TempPathFactory, opened: Open, batched: Path) -> Store:
    """A store with cells of every kind; of those that misbehave one has failed, one is invalid. Not to be changed."""
    session = opened(tmp_path_factory.mktemp("ran") / "store", batched)
    outcome = session.run(session.plan(parse_grid(tomllib.loads(GRID), session.registry)))
    assert sorted(status for _, status, _ in outcome.problems) == ["failed", "invalid"]
    return session.store


@pytest.fixture(scope="session")
def rerun(opened: Open, batched: Path) -> Callable[[Store], None]:
    """Compute again, in a copy of that store, what has failed there."""

    def run(store: Store) -> None:
        session = opened(store.path, batched)
        session.run(session.plan(parse_grid(tomllib.loads(GRID), session.registry)))

    return run


@pytest.fixture
def verify(tmp_path: Path, opened: Open, batched: Path) -> Verify:
    """Verify some cells of a store, or all of them."""
    calls = 0

    def run(store: Store, cells: list[str] | None = None, **options: Any) -> dict[str, Verification]:
        nonlocal calls
        calls += 1
        session = opened(tmp_path / f"anew-{calls}", *options.pop("files", (batched,)))
        wanted = sorted(store.cells(["cell"])["cell"]) if cells is None else cells
        return {each.cell: each for each in verify_cells(store, wanted, session, **options)}

    return run


@pytest.fixture
def forge(tmp_path: Path) -> Forge:
    """A copy of a store in which the rows of a table with one key are changed; forged again, it is changed further."""

    def forged(store: Store, table: str, key: str, change: Callable[[Row], None]) -> Store:
        column = {"cells": "cell", "samples": "record", "fits": "fit", "artifacts": "artifact"}[table]
        path = tmp_path / "forged"
        if not path.exists():
            shutil.copytree(store.path, path)
        copy = Store(path)
        changed = 0
        for file in copy.tables.names(table):
            rows = copy.tables.read_file(table, file).to_pylist()
            mine = [row for row in rows if cell_of_record(row[column]) == key]
            for row in mine:
                change(row)
            if mine:
                changed += len(mine)
                forged_rows = pa.Table.from_pylist(rows, schema=TABLES[table])
                copy.tables.replace(table, stem_of(file), [file], forged_rows)
        assert changed
        return Store(path)

    return forged


@pytest.fixture(scope="session")
def pick() -> Callable[..., str]:
    """The first cell of a store whose columns have some values."""

    def first(store: Store, **columns: Any) -> str:
        frame = store.cells()
        for name, value in columns.items():
            frame = frame[frame[name] == value]
        return str(frame["cell"].iloc[0])

    return first
