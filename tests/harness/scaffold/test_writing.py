"""What `medrobust new` writes: a distribution that loads, keeps the rules of its kind, and says how to go on."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medrobust import MedrobustError
from medrobust.api import Registry, read_grid
from medrobust.scaffold.writing import KINDS, Scaffold
from medrobust.testing import check
from medrobust.testing.suite import instances, offers_of

Program = Callable[..., Any]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_loads_keeps_its_rules_and_has_a_grid(kind: str, tmp_path: Path) -> None:
    name = f"scaffold-{kind}"
    folder = tmp_path / name
    Scaffold(kind, name).write(folder)
    file = folder / f"{name.replace('-', '_')}.py"
    (plugin,) = instances(offers_of(file=file), {})
    assert plugin.title == name
    assert [(o.rule.name, o.reason) for o in check(plugin) if o.verdict == "broken"] == []
    read_grid(folder / "grid.toml", Registry.discover([file]))
    project = tomllib.loads((folder / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["medrobust"] == {file.stem: file.stem}
    assert project["tool"]["setuptools"]["py-modules"] == [file.stem]
    assert f'conformance("{name}")' in (folder / "tests" / f"test_{file.stem}.py").read_text()


def test_the_command_says_where_the_plugin_is_and_how_to_go_on(program: Program, tmp_path: Path) -> None:
    told = program("new", "attack", "swift-steps", plugins=())
    assert told.status == 0
    assert "The plugin is in swift-steps/swift_steps.py." in told.out
    assert told.out.splitlines()[-1] == "Next: cd swift-steps && pip install -e . && pytest"
    assert "class SwiftSteps(IterativeAttack):" in (tmp_path / "swift-steps" / "swift_steps.py").read_text()
    again = program("new", "attack", "swift-steps", plugins=())
    assert (again.status, "is there already; name another place with --out" in again.err) == (1, True)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("My Attack", "write small letters, digits and '-'"),
        ("torch", "a module 'torch' is installed already"),
        ("import", "means something else to Python"),
        ("random", "means something else to Python"),
    ],
)
def test_names_that_would_break_something_are_refused(name: str, told: str) -> None:
    with pytest.raises(MedrobustError, match=re.escape(told)):
        Scaffold("attack", name)


def test_an_unknown_kind_is_answered_with_the_nearest(program: Program) -> None:
    assert "did you mean 'attack'?" in program("new", "atack", "mine", plugins=()).err
