"""Attacks whose result depends on the batch: the batch is part of the cell."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from medrobust import DataSource, GridError
from medrobust.api import Entry, Registry, parse_grid
from medrobust.grid.expansion import expand
from medrobust.grid.metadata import MetadataCache
from medrobust.plugins import builtin

from .written import text

Entries = Callable[..., list[Entry]]
IN_BATCHES = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel, UniversalAttack

    @dataclass(frozen=True)
    class Batched(Attack):
        name: ClassVar[str] = "batched"
        revision: ClassVar[int] = 1
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
        batch_size: ClassVar[int | None] = 16

        def perturb(self, classifier, images, goal, budget, rng):
            return images

    @dataclass(frozen=True)
    class Drawing(Batched):
        name: ClassVar[str] = "drawing"
        revision: ClassVar[int] = 1
        batch_size: ClassVar[int | None] = None
        global_rng: ClassVar[bool] = True

    @dataclass(frozen=True)
    class Searching(Batched):
        name: ClassVar[str] = "searching"
        revision: ClassVar[int] = 1
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"l2"}, minimal=True)
        batch_size: ClassVar[int | None] = None
"""


@pytest.fixture
def batched(tiny: Path, tmp_path: Path) -> Callable[..., list[Entry]]:
    """The entries of a grid with attacks that depend on their batch, one of them of a given size."""

    def make(size: int = 16, **axes: str) -> list[Entry]:
        file = tmp_path / str(size) / "in_batches.py"
        file.parent.mkdir()
        file.write_text(dedent(IN_BATCHES).replace("= 16", f"= {size}"))
        registry = Registry(strict=True)
        registry.add(builtin, "medrobust", "0", bundled=True)
        for each in (tiny, file):
            registry.load_file(each)
        return expand(parse_grid(tomllib.loads(text(**axes)), registry), MetadataCache(DataSource(), registry))

    return make


def test_the_batch_that_an_attack_depends_on_belongs_to_the_cell(batched: Entries) -> None:
    attacks = '["sign", "batched", "drawing", { name = "halved", of = "batched" }]'
    cells = [e.cell for e in batched(attack=attacks) if e.cell and e.cell.attack]
    assert [c.fields.get("batch") for c in cells] == [None, 16, 32, 16]
    assert "batch" not in cells[0].fields
    assert len({c.id for c in cells}) == 4


def test_another_batch_is_another_cell_in_the_same_slot(batched: Entries) -> None:
    # The revision stays the same.
    cells = [e.cell for size in (16, 8) for e in batched(size, attack='"batched"') if e.cell and e.cell.attack]
    assert len({c.id for c in cells}) == 2
    assert len({c.slot for c in cells}) == 1


def test_an_attack_that_depends_on_its_batch_cannot_stop_at_success(batched: Entries) -> None:
    found = batched(attack='["sign", "batched"]', stop='"success"')
    reasons = {e.row()["attack"]: e.excluded for e in found if e.row()["attack"] != "none"}
    assert reasons == {"sign": "", "batched": "attack 'batched' depends on its batch, which stop = 'success' changes"}


def test_a_search_for_the_smallest_perturbation_is_not_cut_short(batched: Entries) -> None:
    found = batched(attack='"searching"', budget='["l2:0.5", "l2:min"]', stop='"success"')
    reasons = {e.row()["budget"]: e.excluded for e in found if e.row()["attack"] != "none"}
    assert reasons["l2:0.5"] == ""
    assert "stop = 'success' would cut short" in reasons["l2:min"]


def test_parts_that_need_different_batches_cannot_be_one_attack(batched: Entries) -> None:
    with pytest.raises(GridError, match="combines attacks that need batches of 16 and 32 images"):
        batched(attack='["sign", { name = "all-of", of = ["batched", "drawing"] }]')
