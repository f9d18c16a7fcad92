"""The few cells that evidence adds to a grid: cheap, for one attack of each norm, and never another model."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

import medrobust_attacks
from medrobust import DataSource
from medrobust.api import Cell, Entry, Registry, parse_grid
from medrobust.grid.evidence_cells import TAG, with_evidence
from medrobust.grid.expansion import expand
from medrobust.grid.metadata import MetadataCache
from medrobust.plugins import builtin

BASE = """
[[grid]]
dataset = "textures"
model = "tiny-net"
"""


@pytest.fixture(scope="module")
def registry(tiny: Path) -> Registry:
    """The tiny plugins, and the bundled attacks for their noise."""
    made = Registry(strict=True)
    made.add(builtin, "medrobust", "0", bundled=True)
    made.add(medrobust_attacks, "medrobust", "0", bundled=True)
    made.load_file(tiny)
    return made


def expanded(registry: Registry, more: str, base: str = BASE) -> tuple[list[Entry], list[Entry]]:
    """Entries of the grid itself, and those that evidence adds."""
    grid = parse_grid(tomllib.loads(base + more), registry, where="grid.toml")
    entries = expand(with_evidence(grid, registry), MetadataCache(DataSource(), registry))
    return [e for e in entries if TAG not in e.tags], [e for e in entries if TAG in e.tags]


def added(registry: Registry, more: str, base: str = BASE) -> list[Cell]:
    return [e.cell for e in expanded(registry, more, base)[1] if e.cell is not None and e.cell.attack is not None]


def names(cells: list[Cell]) -> list[str]:
    return [f"{c.attack.name} {c.budget}" for c in cells if c.attack]


def test_radius_zero_a_very_large_one_and_noise_of_every_radius(registry: Registry) -> None:
    cells = added(registry, 'attack = "pgd"\nbudget = ["linf:1/255", "linf:4/255"]')
    assert names(cells) == [
        "pgd(steps=1) linf:0",
        "pgd linf:0.5",
        "noise linf:1/255",
        "noise linf:4/255",
        "noise linf:0.5",
    ]


def test_what_the_grid_asks_for_stays_as_it_was(registry: Registry) -> None:
    more = 'attack = ["none", "pgd"]\nbudget = "linf:1/255"'
    grid = parse_grid(tomllib.loads(BASE + more), registry)
    own, _ = expanded(registry, more)
    assert [e.labels for e in own] == [e.labels for e in expand(grid, MetadataCache(DataSource(), registry))]


def test_each_norm_has_its_strongest_attack_by_gradients(registry: Registry) -> None:
    more = (
        'attack = ["sign", { name = "pgd", steps = [5, 9] }, { name = "steps", steps = 12 }, "square", "hum"]\n'
        'budget = ["linf:1/255", "l2:0.1", "l2:0.2"]'
    )
    assert names(added(registry, more)) == [
        "sign linf:0",
        "steps(steps=12) linf:0.5",
        "noise linf:1/255",
        "noise linf:0.5",
        "pgd(steps=1) l2:0",
        "pgd(steps=9) l2:zeta=50%",
        "noise l2:0.1",
        "noise l2:0.2",
        "noise l2:zeta=50%",
    ]


def test_queries_serve_where_there_are_no_gradients(registry: Registry) -> None:
    cells = added(registry, 'attack = ["square", "hum"]\nbudget = "linf:1/255"')
    assert names(cells)[:2] == ["square(queries=1) linf:0", "square linf:0.5"]


@pytest.mark.parametrize(
    "more",
    [
        "",
        'attack = "hum"\nbudget = "linf:1/255"',
        'attack = { name = "halved", of = "sign" }\nbudget = "linf:1/255"',
        'attack = ["uap", "one-for-all"]\nbudget = "linf:1/255"',
    ],
    ids=["clean", "control", "derived", "universal"],
)
def test_nothing_is_added_without_an_attack_that_sees_the_model(registry: Registry, more: str) -> None:
    assert added(registry, more) == []


def test_a_norm_without_a_radius_is_left_out(registry: Registry) -> None:
    # For these the ladder from zero to very large means nothing; a grid of them must still be planned.
    own, extra = expanded(registry, 'attack = "pgd"\nbudget = ["l2:min", "l2:0.1"]')
    assert [e.excluded for e in own if e.excluded] == ["attack 'pgd' needs a radius; 'min' is for minimal-norm attacks"]
    assert "noise l2:min" not in names([e.cell for e in extra if e.cell is not None])
    assert extra


def test_the_checks_speak_of_robust_accuracy_so_no_class_is_aimed_at(registry: Registry) -> None:
    def goals(goal: str) -> set[str]:
        cells = added(registry, f'attack = "pgd"\nbudget = "linf:1/255"\ngoal = {goal}')
        return {str(c.goal) for c in cells if c.attack is not None and c.attack.name != "noise"}

    assert goals('["target:a", "predicted", "untargeted"]') == {"predicted"}
    assert goals('["target:a", "target:b"]') == {"untargeted"}


def test_noise_asks_for_no_labels_where_no_goal_does(registry: Registry) -> None:
    def goals(goal: str) -> set[str]:
        cells = added(registry, f'attack = "pgd"\nbudget = "linf:1/255"\ngoal = {goal}')
        return {str(c.goal) for c in cells if c.attack is not None and c.attack.name == "noise"}

    assert goals('["predicted", "target:a"]') == {"predicted"}
    # One goal for most blocks makes their noise the same cells.
    assert goals('["predicted", "untargeted"]') == goals('"untargeted"') == {"untargeted"}


def test_the_model_itself_is_attacked_at_full_strength(registry: Registry) -> None:
    more = 'attack = "pgd"\nbudget = "linf:1/255"\nsurrogate = { instance = "other" }\ntags = { data = "x" }'
    cells = added(registry, more)
    assert len(cells) == 4
    assert all(c.source is c.target for c in cells)
    _, extra = expanded(registry, more + '\nstop = "full"\nprobe = "difference"')
    assert {e.tags["data"] for e in extra} == {"x"}
    stopped = added(registry, 'attack = "pgd"\nbudget = "linf:1/255"\nstop = "success"')
    assert {c.stop for c in stopped if str(c.budget) != "linf:0.5" or c.attack.name == "noise"} == {"full"}


def test_at_the_large_radius_broken_images_leave_where_they_may(registry: Registry) -> None:
    def stops(more: str) -> dict[str, str]:
        cells = added(registry, more + '\nbudget = "linf:1/255"')
        return {
            c.target.defense.name: c.stop for c in cells if str(c.budget) == "linf:0.5" and c.attack.name != "noise"
        }

    # One wrong draw does not make an image of a random model broken.
    assert stops('attack = "pgd"\ndefense = ["none", "jitter", "blur"]') == {
        "none": "success",
        "blur": "success",
        "jitter": "full",
    }


def test_models_that_a_grid_leaves_out_are_not_trained_for_evidence(registry: Registry) -> None:
    base = BASE.replace('"tiny-net"', '["tiny-net", { name = "tiny-net", instance = 1 }]')
    more = 'attack = "pgd"\nbudget = ["linf:1/255", "linf:2/255"]\n'
    without_model = added(registry, more + 'exclude = [{ model = "*instance*" }]', base)
    assert len({c.target.id for c in without_model}) == 1
    without_radius = added(registry, more + 'exclude = [{ budget = "linf:2/255" }]', base)
    assert len({c.target.id for c in without_radius}) == 2
    assert "noise linf:1/255" in names(without_radius)
