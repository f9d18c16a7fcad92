"""Stores to rank: run once, with the tiny plugins and a stranger's file."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust.api import Session, Store

TINY = Path(__file__).parents[2] / "tiny.py"
STRANGER = Path(__file__).parent / "stranger.py"

GRID = """
[[grid]]
dataset = ["textures", { name = "textures", channels = 3 }]
model = "tiny-net"
defense = ["none", { name = "drilled", rounds = [1, 2] }, "veil"]
attack = ["none", "sign", "steps", "slide"]
budget = "linf:14/255"
"""

MakeStore = Callable[..., Store]


def run(folder: Path, text: str, *files: Path, evidence: bool = True) -> Store:
    """The store of a grid, run with the tiny plugins and others."""
    session = Session(folder, (TINY, *files), device="cpu", workers=1)
    session.run(session.plan(tomllib.loads(text), evidence=evidence))
    return session.store


@pytest.fixture(scope="session")
def full(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Three attacks, one of a stranger's, four defenses, one of which masks its weakness, two data sets."""
    return run(tmp_path_factory.mktemp("ranking") / "full", GRID, STRANGER)


@pytest.fixture
def made(tmp_path: Path) -> MakeStore:
    """Makes small stores without evidence, by name."""

    def make(text: str, *files: Path, name: str = "store", evidence: bool = False) -> Store:
        return run(tmp_path / name, text, *files, evidence=evidence)

    return make
