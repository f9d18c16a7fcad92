"""The list of trials: the bundled one, one's own, and what is wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import GridError
from medrobust.api import Registry, parse_grid
from medrobust.judging.trials import grid_of, read_trials

ONE = """
[[trial]]
id = "noise"
title = "noise"
kind = "control"
[trial.grid]
attack = "noise"
budget = "linf:1/255"
"""


def test_the_bundled_list_asks_what_the_report_tells() -> None:
    trials = read_trials()
    kinds = [trial.kind for trial in trials.trials]
    assert set(kinds) == {"control", "white-box", "smallest", "black-box", "universal", "transfer"}
    assert kinds[0] == "white-box", "the most telling comes first"
    assert all(trial.title and trial.budgets for trial in trials.trials)


def test_the_bundled_list_is_a_grid() -> None:
    trials = read_trials()
    table = grid_of(trials.trials, trials.define, "phantom-oct", "small-cnn")
    grid = parse_grid(table, Registry.discover(()))
    attack = grid.blocks[1].axes["attack"][0].value.plugin
    assert attack.title == "pgd", "the checks of evidence take the attack with the most steps"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"no \[\[trial\]\] table"),
        ("[[trial", "cannot be read"),
        (ONE.replace("control", "guess"), "kind is one of control, white-box"),
        (ONE.replace('title = "noise"', ""), r"trial\[0\]: a trial has id, title, kind and a table"),
        (ONE.replace('budget = "linf:1/255"', ""), "'budget' is missing"),
        (ONE + 'model = "resnet18"', "model is what is judged, and is added"),
        (ONE + ONE, "two trials have the same id"),
    ],
)
def test_mistakes_in_a_list(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(text)
    with pytest.raises(GridError, match=message):
        read_trials(file)
