"""What a run writes down of what it was asked for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust.api import AXES, Session
from medrobust.engine.requests import write_request
from medrobust.engine.running.progress import Silent

MakeSession = Callable[..., Session]
GRID = """
[define]
mine = { name = "steps", steps = 2 }

[[grid]]
dataset = ["textures", "ward"]
model = "tiny-net"
attack = ["none", "@mine", "one-for-all"]
budget = ["linf:8/255", "l2:0.5"]
exclude = [{ attack = "one-for-all", budget = "l2*" }]
tags = { family = "small" }

[profile.quick.define]
mine = { name = "steps", steps = 1 }
"""


def grid_file(folder: Path) -> Path:
    file = folder / "grid.toml"
    file.write_text(GRID)
    return file


def test_every_combination_that_is_not_excluded_is_a_row_with_the_labels_of_the_grid(
    session: MakeSession, tmp_path: Path
) -> None:
    made = session()
    plan = made.plan(grid_file(tmp_path), profile="quick")
    write_request(plan, made.store.create())
    rows = made.store.requests()
    asked = [e for e in plan.entries if not e.excluded]
    assert rows[list(AXES)].values.tolist() == [list(e.labels) for e in asked]
    assert rows["cell"].fillna("").tolist() == [e.cell.id if e.cell else "" for e in asked]
    assert set(rows["grid"]) == {f"{tmp_path.name}/grid:quick"}
    assert {text: json.loads(text) for text in rows["tags"]} == {'{"family": "small"}': {"family": "small"}}
    absent = rows[rows["dataset"] == "ward"]
    assert absent["cell"].isna().all()
    assert absent["reason"].str.contains("ward").all()
    universal = rows[rows["attack"] == "one-for-all"].dropna(subset="cell")
    assert universal["perturbation"].notna().all()
    cell = next(e.cell for e in asked if e.cell)
    assert rows.iloc[0]["weights"].tolist() == list(cell.target.weights)
    assert rows.iloc[0]["clean"] == cell.clean.id


def test_the_same_request_again_is_one_with_a_new_time(session: MakeSession, tmp_path: Path) -> None:
    made = session()
    plan, other = made.plan(grid_file(tmp_path)), made.plan(tmp_path / "grid.toml", profile="quick")
    for each in (plan, other, plan):
        write_request(each, made.store.create())
    rows = made.store.requests()
    assert len(made.store.tables.names("requests")) == 2
    assert rows["grid"].iloc[-1] == f"{tmp_path.name}/grid"
    made.store.compact(above=0)
    write_request(other, made.store)
    again = made.store.requests()
    assert len(again) == len(rows)
    assert again["grid"].iloc[-1] == f"{tmp_path.name}/grid:quick"
    made.store.compact(above=0)
    assert made.store.requests().equals(again)


def test_a_request_is_written_before_anything_is_computed(session: MakeSession, tmp_path: Path) -> None:
    made = session()
    plan = made.plan(grid_file(tmp_path))

    class Killed(Silent):
        def begin(self, steps: object, costs: object) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.run(plan, Killed())
    assert made.store.cells().empty
    assert set(made.store.requests()["cell"].dropna()) == set(plan.cells)
