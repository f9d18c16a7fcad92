"""The documents as tests see them: their blocks of code, to be run as a reader would run them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
NAMED = re.compile(r"# (?P<file>[\w.]+)\n")


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        language: `python` or `toml`.
        text: the code.
        file: the file it is to be saved as, from its first line; empty if it names none.
        line: where it begins in the document.
    """

    language: str
    text: str
    file: str
    line: int


@dataclass(frozen=True)
class Example:
    """A plugin file of a document with the lines of a grid that use it; `base` is the grid that these lines change."""

    file: str
    code: str
    grids: tuple[str, ...]
    base: str


def blocks_of(document: str) -> list[Block]:
    """The fenced blocks of a document below the repository's root, in order."""
    text = (ROOT / document).read_text(encoding="utf-8")
    return list(_blocks(text))


def _blocks(text: str) -> Iterator[Block]:
    for match in BLOCK.finditer(text):
        named = NAMED.match(match["text"])
        line = text.count("\n", 0, match.start()) + 2
        yield Block(match["language"], match["text"], named["file"] if named else "", line)


def examples_of(document: str) -> list[Example]:
    """The plugin files of a document: each Python block with a name, and the TOML blocks up to the next one."""
    base, files, grids = "", dict[str, str](), dict[str, list[str]]()
    for block in blocks_of(document):
        if block.language == "toml" and block.file:
            base = block.text
        elif block.language == "python":
            files[block.file] = block.text
            grids[block.file] = []
        else:
            grids[list(files)[-1]].append(block.text)
    return [Example(file, code, tuple(grids[file]), base) for file, code in files.items()]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that takes `example` runs for every plugin file of docs/plugins.md that comes with lines of a grid."""
    if "example" in metafunc.fixturenames:
        examples = [example for example in examples_of("docs/plugins.md") if example.grids]
        metafunc.parametrize("example", examples, ids=[example.file for example in examples])


@pytest.fixture
def root() -> Path:
    """The root of the repository."""
    return ROOT


@pytest.fixture
def blocks() -> Callable[[str], list[Block]]:
    """The blocks of a document."""
    return blocks_of


@pytest.fixture
def examples() -> Callable[[str], list[Example]]:
    """The plugin files of a document."""
    return examples_of
