"""docs/judging.md: its blocks run as one program, and say what they say."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

DOCUMENT = "docs/judging.md"


@pytest.mark.long
def test_the_blocks_form_one_program(
    blocks: Callable[[str], Sequence[Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {"__name__": "__main__"}
    for block in blocks(DOCUMENT):
        exec(compile("\n" * (block.line - 1) + block.text, DOCUMENT, "exec"), found)
    printed = capsys.readouterr().out
    assert printed.startswith("Healthy: no fault found;")
    assert (tmp_path / "report" / "index.html").is_file()
    kinds = {result.kind for result in found["judgement"].results}
    assert {"control", "white-box"} <= kinds
