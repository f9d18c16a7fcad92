"""Results of a check in a file: one that was stopped in the middle of a line is read, and goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import MedrobustError
from medrobust.engine.adapters import kept
from medrobust.engine.adapters.checking import Checked
from medrobust.engine.adapters.trial import Outcome


def checked(name: str) -> Checked:
    return Checked(name, (), "linf:0.1", {}, Outcome("ok"))


def test_a_line_that_was_cut_short_is_taken_off(tmp_path: Path) -> None:
    file = tmp_path / "kept.jsonl"
    for name in ("a", "b"):
        kept.add(file, checked(name))
    whole = file.read_bytes()
    file.write_bytes(whole + whole[:20])
    assert list(kept.read(file)) == ["a", "b"]
    kept.add(file, checked("c"))
    assert list(kept.read(file)) == ["a", "b", "c"]


@pytest.mark.parametrize("text", ["no results\n", "no results", '{"names": []}'])
def test_a_file_of_something_else_is_named_and_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.txt"
    file.write_text(text)
    with pytest.raises(MedrobustError, match=r"other\.txt holds no results of 'medrobust adapters check'"):
        kept.read(file)
    assert file.read_text() == text
