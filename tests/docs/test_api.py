"""docs/api.md: its blocks run as one program, and say what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import medrobust.api

DOCUMENT = "docs/api.md"
Blocks = Callable[[str], Sequence[Any]]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("api")


@pytest.mark.long
def test_the_blocks_form_one_program(
    blocks: Blocks, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    found: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(DOCUMENT):
        if block.language == "toml":
            (folder / block.file).write_text(block.text)
            continue
        # Errors name the line of the document.
        code = compile("\n" * (block.line - 1) + block.text, DOCUMENT, "exec")
        exec(code, found)
        printed = capsys.readouterr().out
        assert bool(printed) == ("print(" in block.text), f"{DOCUMENT}:{block.line}"
    assert found["outcome"].complete
    assert len(found["plan"].cells) == len(found["records"]) == 14
    assert found["accuracy"].n == len(found["pgd"]) == 60
    assert found["difference"].difference == pytest.approx(
        medrobust.api.measure("accuracy", found["fgsm"]).scalar - found["accuracy"].scalar
    )
    assert {row["outcome"] for row in found["session"].evidence(found["checked"])} <= {
        *("passed", "flagged", "undecided", "not checked")
    }
    ((cell, _),) = found["probed"].probes.values()
    assert cell.attack.name == "fgsm"
    assert found["arrays"].keys() == {"clean", "adversarial", "positions"}
    accuracies = [
        medrobust.api.measure("accuracy", record).scalar
        for _, record in found["session"].store.records(found["live"].cells)
    ]
    assert sorted(accuracies) == [0.0, 1.0]


def test_every_name_that_is_imported_is_public(blocks: Blocks) -> None:
    text = "\n".join(block.text for block in blocks(DOCUMENT) if block.language == "python")
    lines = [line for line in text.splitlines() if line.startswith("from medrobust")]
    assert lines
    assert all(line.startswith("from medrobust.api import ") for line in lines)
