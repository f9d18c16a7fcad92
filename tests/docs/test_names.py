"""What the documents name is there: commands, options, keys of grids, files, public names."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import typer

import medrobust
import medrobust.api
import medrobust.commands
import medrobust.pytest_plugin
from medrobust import GridError
from medrobust.api import Registry, parse_grid
from medrobust.cli import build
from medrobust.commands.everywhere import add_options
from medrobust.grid import reader

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "benchmarks/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
SOURCES = [
    file
    for folder in ("harness", "plugins", "leaderboard", "examples")
    for file in sorted((ROOT / folder).rglob("*"))
    if file.suffix in (".py", ".toml", ".html")
]
CODE = re.compile(r"`([^`\n]+)`|^ {4}(.+)$", re.MULTILINE)
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
OF_OTHER_PROGRAMS = {
    *("--compile-bytecode", "--extra", "--group", "--with"),  # uv
    *("--case", "--threads", "--prepare"),  # benchmarks/attacks.py
    *(
        "--nthreads",
        "--lifetime",
        "--lifetime-stagger",
        "--resources",
        "--scheduler-file",
        "--protocol",
        "--port",
    ),  # dask
}


@cache
def program() -> Any:
    app, faults = build()
    assert faults == []
    command = typer.main.get_command(app)
    add_options(command)
    return command


def command_of(words: list[str]) -> Any:
    """The command, or group of commands, that these words call.

    Raises:
        KeyError: if there is no such command.
    """
    command, rest = program(), list(words)
    while rest and hasattr(command, "commands"):
        command = command.commands[rest.pop(0)]
    return command


def options_of(command: Any) -> set[str]:
    return {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)} | {"--help"}


def options_of_pytest() -> set[str]:
    """The options that medrobust adds to pytest."""
    parser = pytest.Parser(_ispytest=True)
    medrobust.pytest_plugin.pytest_addoption(parser)
    return {name for option in parser.getgroup("medrobust").options for name in option.names()}


def every_option(command: Any) -> Iterator[str]:
    yield from options_of(command)
    for each in getattr(command, "commands", {}).values():
        yield from every_option(each)


def pieces_of_code(text: str) -> Iterator[str]:
    """Inline code and indented lines, without comments."""
    for inline, line in CODE.findall(re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)):
        yield (inline or line).partition("  #")[0].strip()


def called(text: str) -> Iterator[list[str]]:
    """The calls of medrobust in a document, as words after the program's name."""
    for code in pieces_of_code(text):
        if match := re.match(r"(?:uv run )?medrobust (?=[a-z-])", code):
            yield shlex.split(code[match.end() :])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_and_their_options_exist(document: Path) -> None:
    for words in called(document.read_text(encoding="utf-8")):
        options = [word.partition("=")[0] for word in words if word.startswith("--")]
        if words[0].startswith("--"):
            assert set(options) <= options_of(program()), words
            continue
        assert set(options) <= options_of(command_of(words)), words


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_options_exist(document: Path) -> None:
    known = {*every_option(program()), *OF_OTHER_PROGRAMS, *options_of_pytest()}
    named = {option for code in pieces_of_code(document.read_text(encoding="utf-8")) for option in OPTION.findall(code)}
    assert named <= known


def test_the_documents_call_every_command() -> None:
    texts = [document.read_text(encoding="utf-8") for document in DOCUMENTS]
    named = {id(command_of(words)) for text in texts for words in called(text) if not words[0].startswith("--")}

    def leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "commands"):
            yield path, command
        for name, each in getattr(command, "commands", {}).items():
            yield from leaves(each, f"{path} {name}".strip())

    missing = [path for path, command in leaves(program()) if id(command) not in named]
    assert missing == []


def test_messages_name_commands_that_exist() -> None:
    named = {
        (file.name, words)
        for file in SOURCES
        for words in re.findall(r"['`]medrobust ([a-z]+(?: [a-z]+)?)", file.read_text(encoding="utf-8"))
    }
    assert len(named) > 5
    for _, words in sorted(named):
        command_of(words.split())


def in_the_document_of_grids(key: str) -> bool:
    text = (ROOT / "docs" / "grid.md").read_text(encoding="utf-8")
    return f"`{key}`" in text or f"`[{key}" in text


@pytest.mark.parametrize("key", [*reader._KEYS, "define", "profile"])
def test_every_key_of_a_grid_is_documented(key: str) -> None:
    assert in_the_document_of_grids(key)


def test_every_key_of_a_surrogate_is_documented(core: Registry) -> None:
    grid = {"dataset": "textures", "model": "tiny-net", "surrogate": {"zzz": 1}}
    with pytest.raises(GridError) as caught:
        parse_grid({"grid": [grid]}, core)
    keys = str(caught.value).partition("valid: ")[2].split(", ")
    assert "instance" in keys
    assert all(map(in_the_document_of_grids, keys))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (document.parent / link).exists(), link
    for anchor in re.findall(r"\]\(#([^)]+)\)", text):
        titles = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
        assert anchor in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, anchor


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_paths_exist(document: Path) -> None:
    for code in pieces_of_code(document.read_text(encoding="utf-8")):
        if re.fullmatch(r"(?:harness|plugins|leaderboard|tests|benchmarks|docs|examples)/[\w./-]+", code):
            assert (ROOT / code).exists(), code


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_public_names_exist(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for name in re.findall(r"\bmedrobust\.api\.([A-Za-z]\w*)", text):
        assert hasattr(medrobust.api, name), name
    for name in re.findall(r"\bmedrobust\.([A-Z]\w*)", text):
        assert hasattr(medrobust, name), name
