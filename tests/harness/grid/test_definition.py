"""A cell comes back from its row: over the whole grid language, for every bundled plugin, for every paper."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from medrobust import DataSource, DataUnavailable, GridError, PluginError
from medrobust.api import Registry, Session, parse_grid
from medrobust.grid.cells import Cell
from medrobust.grid.columns import columns
from medrobust.grid.definition import cell_of, definition_of
from medrobust.grid.expansion import expand
from medrobust.grid.metadata import MetadataCache
from medrobust.grid.slices import Slice
from medrobust.grid.written import grid_text
from medrobust.plugins.specs import build
from medrobust.results.schema import CELLS

AnyBlock = Callable[[Path], st.SearchStrategy[dict[str, Any]]]
TINY = Path(__file__).parents[2] / "tiny.py"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "net of mine.safetensors"
    save_file({"w": torch.ones(3)}, file)
    return file


@pytest.fixture(scope="module")
def registry(odd_plugins: Path) -> Registry:
    """The tiny plugins and those with unusual fields."""
    from medrobust.plugins import builtin

    found = Registry(strict=True)
    found.add(builtin, "medrobust", "0", bundled=True)
    found.load_file(TINY)
    found.load_file(odd_plugins)
    return found


def cells(block: Mapping[str, Any], registry: Registry) -> Iterator[Cell]:
    """The cells of a block and their clean records."""
    grid = parse_grid({"grid": [block]}, registry)
    yield from (e.cell for e in expand(grid, MetadataCache(DataSource(), registry)) if e.cell is not None)


def assert_comes_back(cell: Cell, metadata: MetadataCache) -> None:
    row = columns(cell)
    again = cell_of(json.loads(row["definition"]), metadata)
    assert again.id == cell.id
    assert columns(again) == row


def assert_written(cell: Cell, metadata: MetadataCache) -> None:
    """The grid of the cell's definition asks for the cell and, beside its clean record, for nothing else.

    A table of free content may hold None, which no TOML can say.
    """
    definition = json.loads(columns(cell)["definition"])
    if None in definition.get("attack", {}).get("table", {}).values():
        return
    written = tomllib.loads(grid_text(definition))
    asked = {e.cell.id for e in expand(parse_grid(written, metadata.registry), metadata) if e.cell is not None}
    assert asked == {cell.id, cell.clean.id}


UNCHECKED = {"deadline": None, "suppress_health_check": list(HealthCheck)}


@pytest.mark.long
@settings(max_examples=300, **UNCHECKED)
@given(data=st.data())
def test_every_cell_of_the_grid_language_comes_back(
    data: st.DataObject, any_block: AnyBlock, registry: Registry, checkpoint: Path
) -> None:
    block = data.draw(any_block(checkpoint))
    try:
        found = list(cells(block, registry))
    except GridError as error:
        # An ensemble of attacks that need different batches, say, has no cell that could come back.
        if "can run with no budget" not in str(error):
            raise
        assume(False)
    for cell in found:
        assert_comes_back(cell, MetadataCache(DataSource(), registry))
        assert_written(cell, MetadataCache(DataSource(), registry))


@settings(**UNCHECKED)
@given(data=st.data())
def test_a_slice_is_what_its_text_says(data: st.DataObject, any_slice: st.SearchStrategy[str]) -> None:
    once = Slice.parse(data.draw(any_slice))
    assert Slice.parse(str(once)) == once


def one(registry: Registry, **axes: Any) -> Cell:
    block = {"dataset": "textures", "model": "tiny-net", "attack": "tiny:sign", "budget": "linf:8/255", **axes}
    return next(cell for cell in cells(block, registry) if cell.attack is not None)


def test_a_definition_reads_like_a_grid(registry: Registry) -> None:
    cell = one(registry, attack={"name": "odd-9", "step": "eps/7"}, budget="linf:0.02@[-1,1]", seed=3)
    found = definition_of(cell)
    assert (found["budget"], found["seed"], found["evaluate_on"]) == ("linf:0.02@[-1,1]", 3, "test")
    assert found["attack"]["name"] == "odd_plugins:odd-9"
    assert found["attack"]["step"] == "eps/7"
    assert "whole" not in found["attack"]  # the preset fixes it
    assert "unnamed" not in found["attack"]  # a default that nobody offers
    assert "surrogate" not in found


def test_a_surrogate_has_columns_as_its_target_has(registry: Registry, checkpoint: Path) -> None:
    patch = {
        "train_set": "train[50%:]",
        "model": {"name": "tiny-net", "init": str(checkpoint), "instance": 2},
        "defense": "blur",
        "seed": 5,
    }
    row = columns(one(registry, surrogate=patch, train_set="train[:50%]"))
    content = definition_of(one(registry, surrogate=patch))["checkpoints"][str(checkpoint)]
    name = f"net of mine.safetensors#{content[:6]}"
    assert {k: v for k, v in row.items() if k.startswith("surrogate")} == {
        "surrogate": f"tiny-net(init={name}, instance=2) + blur on textures train[50%:], seed 5",
        "surrogate_dataset": "textures",
        "surrogate_train_set": "train[50%:]",
        "surrogate_model": f"tiny-net(init={name}, instance=2)",
        "surrogate_architecture": "tiny-net",
        "surrogate_init": name,
        "surrogate_defense": "blur",
        "surrogate_seed": "5",
    }
    assert (row["architecture"], row["init"], row["white_box"]) == ("tiny-net", "random", False)
    assert row["source"] != row["target"]


def test_initial_weights_have_a_column(registry: Registry) -> None:
    pretrained = {
        "name": "tiny-net",
        "init": {"pretrain_on": {"name": "textures", "size": 9}, "train_set": "train[:9]"},
    }
    row = columns(one(registry, model=pretrained))
    assert row["init"] == "textures(size=9) train[:9]"
    white_box = columns(one(registry, model={"name": "tiny-net", "init": "imagenet"}))
    assert (white_box["init"], white_box["surrogate_init"], white_box["surrogate"]) == ("imagenet", "", "")
    assert white_box["source"] == white_box["target"]


def test_every_column_is_in_the_schema(registry: Registry) -> None:
    assert columns(one(registry)).keys() <= set(CELLS.names)


def test_a_checkpoint_that_is_elsewhere_counts_as_recorded(registry: Registry, tmp_path: Path) -> None:
    file = tmp_path / "net.safetensors"
    save_file({"w": torch.zeros(3)}, file)
    cell = one(registry, model={"name": "tiny-net", "init": str(file)})
    file.unlink()
    assert_comes_back(cell, MetadataCache(DataSource(), registry))
    save_file({"w": torch.ones(3)}, file)
    assert cell_of(definition_of(cell), MetadataCache(DataSource(), registry)).id != cell.id


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"attack": {"name": "tiny:sing"}}, PluginError, "no attack is called 'tiny:sing'; valid: "),
        ({"attack": {"name": "tiny:sign", "force": 3}}, PluginError, "has no parameter 'force'"),
        ({"dataset": {"name": "tiny:ward"}}, DataUnavailable, "the ward's images is neither at|is not at"),
        ({"budget": "linf:far"}, GridError, "definition of a cell cannot be read: 'far' is not a valid length"),
        ({"stop": "late"}, GridError, "'late' is none of full, success"),
        ({"seed": None}, GridError, "cannot be read"),
        ({"evaluate_on": {"slice": "test"}}, GridError, "lacks 'dataset'"),
    ],
)
def test_what_is_wrong_with_a_definition_is_named(
    registry: Registry, change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        cell_of({**definition_of(one(registry)), **change}, MetadataCache(DataSource(), registry))


def test_every_bundled_plugin_comes_back_from_its_table() -> None:
    pytest.importorskip("medrobust_attacks")
    registry = Registry.discover(strict=True)
    needed = {"worst-case": {"of": ["fgsm", {"name": "pgd", "steps": 3}]}}
    for offer in registry.offers():
        try:
            spec = build(offer, needed.get(offer.name, {}), registry)
        except PluginError as error:
            if "Field required" not in str(error):
                raise
            continue
        table = json.loads(spec.written)
        again = build(registry.find(offer.kind, table.pop("name")), table, registry)
        assert (again.plugin, again.canonical, again.name) == (spec.plugin, spec.canonical, spec.name)


@pytest.mark.long
@pytest.mark.parametrize("paper", ["ma2020", "hirano2021", "minagi2022"])
def test_every_cell_of_a_paper_comes_back(paper: str, tmp_path: Path) -> None:
    leaderboard = pytest.importorskip("medrobust_leaderboard")
    session = Session(tmp_path / "store", device="cpu", workers=1)
    grid = Path(leaderboard.__file__).parent / "papers" / paper / "grid.toml"
    planned = session.plan(grid, profile="smoke", evidence=True)
    assert len(planned.cells) > 50
    for cell in planned.cells.values():
        assert_comes_back(cell, session.metadata)
        assert_written(cell, session.metadata)
