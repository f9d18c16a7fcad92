"""What results are said to mean."""

from __future__ import annotations

from typing import Any

import numpy as np

from medrobust.judging.findings import breaks, next_steps, thin_places
from medrobust.judging.judgement import Fault, Result, Share, Smallest
from medrobust.judging.results import worst

CLEAN = Share(0.9, 0.8, 0.95, 10)


def result(trial: str, levels: float, stays: str, kind: Any = "white-box") -> Result:
    """An attack that leaves the images marked 1 of those that count; `-` marks one that does not count."""
    counted = np.array([mark != "-" for mark in stays])
    stay = np.array([mark == "1" for mark in stays])
    kept = Share(float(stay[counted].mean()), 0.1, 0.4, int(counted.sum()))
    return Result(trial, trial, kind, f"linf:{levels:g}/255", "linf", levels / 255, kept, stay, counted)


def test_the_worst_case_is_taken_image_by_image() -> None:
    results = [result("A", 1, "1100-"), result("B", 1, "1010-"), result("noise", 1, "1111-", "control")]
    ((eps, kept, attacks),) = worst(results, ("white-box",))
    assert eps == 1 / 255
    assert (kept.value, kept.n) == (0.25, 4)
    assert [attack.trial for attack in attacks] == ["A", "B"]


def test_what_breaks_it_is_the_smallest_change_that_takes_half() -> None:
    results = [
        result("A", 1, "1110"),
        result("A", 4, "1000"),
        result("A", 8, "0000"),
        result("N", 4, "1111", "control"),
    ]
    lines = list(breaks(results, None, CLEAN, {("sick", "well"): 3, ("well", "sick"): 1}))
    assert lines[0].startswith("Changing each pixel by at most 4 grey levels of 255 suffices: 25 %")
    assert lines[0].endswith("Noise of the same size turns 0 %.")
    assert lines[1].startswith("At 8/255 hardly any is left: 0 %")
    assert lines[2] == "Most of the decisions that change go from sick to well: 3 of 4."


def test_what_withstood_is_said_with_what_was_tried() -> None:
    lines = list(breaks([result("A", 1, "1111"), result("B, 5 steps", 8, "1110")], None, CLEAN, {}))
    assert lines == [
        "No attack broke it: at 8/255, the largest change tried, 75 % [30, 95] of the right decisions stay under all "
        "of B."
    ]


def test_the_smallest_change() -> None:
    found = Smallest("FAB, l2", "l2", Share(1.0, 0.9, 1.0, 40), (0.1, 0.2, 0.3), 0.4)
    (line,) = breaks([], found, CLEAN, {})
    assert line.startswith("For half of the right decisions, an l2 change of 0.2 suffices, 0.4 grey levels a pixel")
    none = Smallest("FAB, l2", "l2", Share(0.25, 0.1, 0.4, 40), (0.1, np.inf, np.inf), np.inf)
    assert "for 25 % [10, 40] of the right decisions only" in next(breaks([], none, CLEAN, {}))


def test_thin_places() -> None:
    lines = list(thin_places([result("A", 1, "1100")], CLEAN, 5, None, [("x", "undecided"), ("y", "not checked")]))
    assert lines[0] == "Rates rest on 4 of 5 images; 95 % intervals reach up to 15 points to each side."
    assert "Undecided: x." in lines
    assert "Not checked: y." in lines


def test_faults_are_remedied_first() -> None:
    fault = Fault("wrong", "", "Put it right.")
    lines = list(next_steps([result("A", 1, "0000")], [fault], CLEAN, ["B: no room"], 500))
    assert lines[0].startswith("Remedy the faults first")
    assert any("--time 1h" in line for line in lines)
