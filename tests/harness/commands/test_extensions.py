"""Commands of other distributions: added by an entry point, and a broken one costs a line."""

from __future__ import annotations

from collections.abc import Callable
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
def install(site: Any) -> Callable[[str, str], None]:
    """Install a distribution whose module adds commands."""

    def install(name: str, code: str) -> None:
        site.install(name, code, group="medrobust.commands", attribute="add_commands")

    return install


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


def test_with_strict_a_broken_one_ends_the_program(program: Program, install: Callable[[str, str], None]) -> None:
    install("broken", "import nowhere_at_all")
    done = program("check", "--strict", plugins=())
    assert done.status == 1
    assert "commands not loaded: broken 1.2" in done.err
    assert "error: --strict: commands of another distribution were not loaded" in done.err


def test_other_distributions_can_be_left_out(
    install: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    install("broken", "import nowhere_at_all")
    monkeypatch.setenv("MEDROBUST_DISABLE_PLUGINS", "1")
    assert add_commands(typer.Typer()) == []
