"""`medrobust cite`: what to cite for a store, from what its plugins say; for people and as BibTeX."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medrobust import Reference
from medrobust.plugins.bibtex import entries

Program = Callable[..., Any]
GRID = """
[[grid]]
dataset = "textures"
model = { name = "tiny-net", recipe = { epochs = 1 } }
defense = ["none", "bit-depth"]
attack = ["noise", { name = "shuffled", of = { name = "pgd", steps = 1 } }, "sign"]
budget = "linf:8/255"
"""


@pytest.fixture
def ran(program: Program, tmp_path: Path) -> Program:
    """The program, after a run of a grid in a folder that is called as a paper."""
    (tmp_path / "ma2020").mkdir()
    (tmp_path / "ma2020" / "grid.toml").write_text(GRID)
    assert program("run", "ma2020/grid.toml").status == 0
    return program


def test_everything_that_was_used_is_listed_with_its_terms(ran: Program) -> None:
    lines = ran("cite", "medrobust-store").out.splitlines()
    headings = [line for line in lines if line and not line.startswith(" ")]
    assert headings[:-1] == ["Data sets", "Attacks", "Defenses", "Papers whose grids were run", "Software"]
    data = lines.index("  textures (CC0)")
    assert lines[data + 1] == "    N. Nobody: Textures from nowhere. Nowhere, 2024"
    # The attack inside another one is cited, too.
    assert any("A. Madry" in line for line in lines[lines.index("  pgd") :])
    assert any("Wetstein" in line for line in lines[lines.index("  shuffled") :])
    assert any("Feature squeezing" in line for line in lines[lines.index("  bit-depth") :])
    assert any("Ma, Niu, Gu" in line for line in lines[lines.index("  ma2020") :])
    assert any(line.startswith("  medrobust ") and "Apache-2.0" in line for line in lines)
    assert "  tiny (local file)" in lines
    assert headings[-1] == "Nothing to cite beyond the software for: tiny-net, noise, sign"
    assert not any("fgsm" in line for line in lines)


def test_a_plugin_that_is_not_here_is_named(ran: Program) -> None:
    told = ran("cite", "medrobust-store", plugins=()).out
    assert "Not installed here, so not known: tiny:textures, tiny:tiny-net, tiny:sign" in told
    assert "load local files with --plugin" in told


def test_bibtex_has_an_entry_for_each_publication(ran: Program) -> None:
    text = ran("cite", "medrobust-store", "--format", "bibtex").out
    keys = re.findall(r"^@misc\{(\w+),$", text, re.MULTILINE)
    assert {"nobody2024textures", "madry2018towards", "xu2018feature", "ma2021understanding"} <= set(keys)
    assert len(set(keys)) == len(keys)
    assert "  author = {A. Madry and A. Makelov and L. Schmidt and D. Tsipras and A. Vladu},\n" in text
    assert text.count("{") == text.count("}")


def test_keys_differ_and_special_characters_are_escaped() -> None:
    one = Reference(("A. González",), "Robust & 50 % better", "Here", 2020, "https://example.org/a_b")
    other = Reference(("B. González",), "Robust again", "There", 2020, "10.1/x")
    text = entries([one, other, one])
    assert re.findall(r"@misc\{(\w+),", text) == ["gonzalez2020robust", "gonzalez2020robustb"]
    assert r"title = {{Robust \& 50 \% better}}" in text
    assert "doi = {10.1/x}" in text


def test_an_empty_store_is_named(program: Program, tmp_path: Path) -> None:
    (tmp_path / "grid.toml").write_text('[[grid]]\ndataset = "ward"\nmodel = "tiny-net"\n')
    program("run", "grid.toml")
    for command in ("cite", "env"):
        told = program(command, "medrobust-store", plugins=())
        assert told.status == 1
        assert "medrobust-store has no cells yet; 'medrobust run GRID --store medrobust-store'" in told.err
