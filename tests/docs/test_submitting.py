"""docs/submitting.md: its files and commands, in their order, do what the page says."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Store

DOCUMENT = "docs/submitting.md"
COMMAND = re.compile(r"^ {4}medrobust (?P<words>.+?)(?: {2,}# status (?P<status>\d))?$", re.MULTILINE)
Program = Callable[..., Any]


@pytest.fixture
def saved(blocks: Callable[[str], Sequence[Any]], tmp_path: Path) -> Path:
    """A folder with the files of the page."""
    for block in blocks(DOCUMENT):
        (tmp_path / block.file).write_text(block.text)
    return tmp_path


@pytest.mark.long
def test_the_commands_lead_from_a_run_to_a_board(saved: Path, root: Path, program: Program) -> None:
    printed = {}
    for match in COMMAND.finditer((root / DOCUMENT).read_text(encoding="utf-8")):
        words = shlex.split(match["words"])
        ended = program(*words, plugins=())
        assert ended.status == int(match["status"] or 0), (match[0], ended)
        printed[match["words"]] = ended.out
    assert len(printed) == 12
    untrusted, trusted, refit = (out for words, out in printed.items() if words.startswith("verify my-attack.zip"))
    assert "2 cells cannot be verified without the plugin my_attack:halves" in untrusted
    assert "3 of 3 cells drawn with --seed 4711: 3 equal." in untrusted
    assert "5 of 5 cells drawn with --seed 4711: 5 equal." in trusted
    assert "2 of 5 cells drawn with --seed 4711 and trained anew: 2 equal." in refit
    assert "Source of plugins: withheld" in printed["submit results --out closed.zip --no-source"]
    merged = printed["merge board my-attack.zip --out new-board"]
    assert "its hashed ids stand for the images of an earlier store" in merged
    assert "halves" in printed["leaderboard new-board"]
    store = Store(saved / "new-board")
    cells = store.cells(["attack"])
    records = dict(store.records(cells.index))
    assert len(records) == len(cells) == 9
    # Images have one name each, so attacks of both can be compared image by image.
    assert len({tuple(record.ids.tolist()) for record in records.values()}) == 1


def test_the_chance_of_finding_a_forged_tenth(root: Path) -> None:
    text = (root / DOCUMENT).read_text(encoding="utf-8")
    assert f"{1 - 0.9**20:.0%}".replace("%", " %") in text
