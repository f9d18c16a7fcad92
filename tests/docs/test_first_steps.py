"""docs/first-steps.md: its file and commands, in their order, show what the page says."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Store, measure

DOCUMENT = "docs/first-steps.md"


@pytest.mark.long
def test_the_commands_lead_from_a_question_to_a_site(
    blocks: Callable[[str], Sequence[Any]], program: Callable[..., Any], tmp_path: Path
) -> None:
    printed = {}
    for block in blocks(DOCUMENT):
        if block.language == "toml":
            (tmp_path / block.file).write_text(block.text)
            continue
        for line in block.text.splitlines():
            name, *words = shlex.split(line)
            assert name == "medrobust"
            ended = program(*words, plugins=(), evidence=True)
            assert ended.status == 0, (line, ended)
            printed[line] = ended.out
    assert len(printed) == 6
    assert (tmp_path / "first-site" / "index.html").is_file()
    board, comparison = (printed[line] for line in printed if "leaderboard" in line)
    assert "Models on eyes, linf:8/255" in board
    assert "stronger on" in comparison
    assert "2 equal" in printed["medrobust verify medrobust-store --sample 2"]
    store = Store(tmp_path / "medrobust-store")
    cells = store.cells(["attack", "budget"])
    attacked = cells[cells["budget"].isin(["linf:2/255", "linf:8/255"])]
    assert len(attacked) == 6
    broken = {
        attacked.loc[cell, "attack"].partition("(")[0]: measure("asr", record).scalar
        for cell, record in store.records(attacked.index[attacked["budget"] == "linf:8/255"])
    }
    # Measured over seeds 0 to 4, with AVX-512 and with SSE 4.1: noise 0 to 1 %, FGSM 49 to 63 %, PGD 49 to 77 %.
    assert broken["noise"] < 0.1
    assert min(broken["fgsm"], broken["pgd"]) > 0.25
