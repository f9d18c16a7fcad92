"""Commands of other distributions: added by an entry point, and a broken one costs a line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import typer

from medrobust.commands.extensions import add_commands

Program = Callable[..., Any]
CODE = """
    import typer


    def add_commands(cli):
        group = typer.Typer(help="Commands of a stranger.")

        @group.command()
        def greet(name: str) -> None:
            print(f"hello {name}")

        @group.command()
        def fail() -> None:
            from medrobust import MedrobustError

            raise MedrobustError("not today")

        cli.add_typer(group, name="stranger")
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Install a distribution whose module adds commands."""
    modules: list[str] = []
    monkeypatch.syspath_prepend(tmp_path)

    def install(name: str, code: str) -> None:
        modules.append(name)
        (tmp_path / f"{name}.py").write_text(dedent(code))
        folder = tmp_path / f"{name}-1.2.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n")
        (folder / "entry_points.txt").write_text(f"[medrobust.commands]\nmine = {name}:add_commands\n")

    yield install
    for name in modules:
        sys.modules.pop(name, None)


def test_a_strangers_command_runs_and_has_debug(program: Program, install: Callable[[str, str], None]) -> None:
    install("stranger", CODE)
    assert "stranger" in program("--help", plugins=()).out
    assert program("stranger", "greet", "you", plugins=()).out == "hello you\n"
    assert "--debug" in program("stranger", "greet", "--help", plugins=()).out
    failed = program("stranger", "fail", plugins=())
    assert (failed.status, failed.err) == (1, "error: not today\n")
    assert "Traceback" in program("stranger", "fail", "--debug", plugins=()).err


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import nowhere_at_all", "ModuleNotFoundError: No module named 'nowhere_at_all' (broken.py:1)"),
        ("x = 1", "AttributeError: module 'broken' has no attribute 'add_commands'"),
        ("def add_commands(cli):\n    raise SystemExit(3)", "SystemExit: 3 (broken.py:2)"),
    ],
)
def test_a_broken_one_costs_a_line(
    program: Program, install: Callable[[str, str], None], code: str, cause: str
) -> None:
    install("broken", code)
    install("sound", CODE)
    (fault,) = add_commands(typer.Typer())
    assert fault.startswith("broken 1.2: commands of 'broken:add_commands': ")
    assert cause in fault
    done = program("stranger", "greet", "you", plugins=())
    assert done.out == "hello you\n"
    assert done.err.startswith("commands not loaded: broken 1.2")


def test_other_distributions_can_be_left_out(
    install: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("broken", "import nowhere_at_all")
    monkeypatch.setenv("MEDROBUST_DISABLE_PLUGINS", "1")
    assert add_commands(typer.Typer()) == []
