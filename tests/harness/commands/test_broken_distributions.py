"""Distributions that are broken, seen from outside: a line each in every command that loads plugins, and no more."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from medrobust.api import Session
from medrobust.cli import build
from medrobust.commands.everywhere import add_options

Program = Callable[..., Any]
TAKEN = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Attack, ThreatModel, hookimpl

    @dataclass(frozen=True)
    class Mine(Attack):
        \"\"\"My attack.\"\"\"

        name: ClassVar[str] = "none"
        threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

        def perturb(self, classifier, images, goal, budget, rng):
            return images

    @hookimpl
    def medrobust_attacks():
        return [Mine]
"""
BROKEN = {
    "raising": ("raise RuntimeError('sick')", "RuntimeError: sick (raising.py:1). Reinstall or remove it"),
    "lacking": (
        "import nowhere",
        "No module named 'nowhere' (lacking.py:1). Install what it needs, nowhere, or remove it",
    ),
    "nonsense": (TAKEN.replace("[Mine]", "42"), "returned 42; it must return a list of plugin classes. Report it"),
    "taken": (TAKEN, "'none' alone means the attack that comes with medrobust. Write 'taken:none' in grids"),
    "old": ("MEDROBUST_CONTRACT = 99", "was written for version 99 of the plugin contract"),
}
"""Modules by the distribution's name, with what the line about it says: the cause, and the remedy."""
COMMANDS: dict[str, tuple[str, ...]] = {
    "run": ("grid.toml",),
    "plan": ("grid.toml",),
    "calibrate": ("nowhere.toml",),
    "plugins": (),
    "check": ("sign",),
    "why": ("0", "--store", "store"),
    "verify": ("store",),
    "submit": ("store", "--out", "packed.zip"),
    "cite": ("store",),
    "doctor": (),
    "reproduce": ("nobody1999",),
    "leaderboard": ("store",),
    "site": ("store", "--out", "site"),
    "judge": ("--model", "nowhere.py:net", "--data", "nowhere"),
    "data list": (),
    "data get": ("textures",),
    "data check": ("textures",),
    "adapters check": ("--provider", "nobody"),
}
"""Every command that loads plugins, with arguments that end soon: what it does otherwise is tested elsewhere."""
GRID = """
[[grid]]
dataset = "textures"
model   = "tiny-net"
attack  = "sign"
budget  = "linf:8/255"
"""


@pytest.fixture(scope="module")
def computed(tmp_path_factory: pytest.TempPathFactory, tiny: Path, misbehaving: Path) -> Path:
    """A store with the grid, from before anybody installed what is broken."""
    folder = tmp_path_factory.mktemp("computed")
    (folder / "grid.toml").write_text(GRID)
    session = Session(folder / "store", (tiny, misbehaving), device="cpu", workers=1)
    session.run(session.plan(folder / "grid.toml", evidence=False))
    return folder


@pytest.fixture
def broken(site: Any, computed: Path, tmp_path: Path) -> None:
    """The distributions, and a copy of the store and its grid."""
    shutil.copytree(computed, tmp_path, dirs_exist_ok=True)
    for name, (code, _) in BROKEN.items():
        site.install(name, code)


def told_of(name: str, done: Any) -> list[str]:
    return [line for line in (done.out + done.err).splitlines() if f"{name} 1.2: " in line]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_costs_one_line_with_its_remedy(program: Program, broken: None, command: str) -> None:
    first, *rest = command.split()
    done = program(first, *rest, *COMMANDS[command])
    for name, (_, told) in BROKEN.items():
        (line,) = told_of(name, done)
        assert told in line
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", COMMANDS)
def test_strict_fails_at_the_first(program: Program, broken: None, command: str) -> None:
    first, *rest = command.split()
    done = program(first, *rest, *COMMANDS[command], "--strict")
    assert done.status == 1
    assert done.err.startswith("error: lacking 1.2: ")
    assert len(done.err.splitlines()) == 1


def commands_of(group: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands_of(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


def test_these_are_all_commands_that_load_plugins() -> None:
    group = typer.main.get_command(build()[0])
    add_options(group)
    options = {name: {parameter.name for parameter in command.params} for name, command in commands_of(group)}
    assert {name for name, found in options.items() if "plugin" in found} == set(COMMANDS)
    assert {name for name, found in options.items() if "strict" in found} == set(COMMANDS)
    assert all("debug" in found for found in options.values())
