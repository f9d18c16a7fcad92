"""Which results are current, on small tables of requests and cells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd

from medrobust.api import AXES
from medrobust.results.current import result_states

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def labels(**given: str) -> dict[str, str]:
    return {**dict.fromkeys(AXES, ""), "dataset": "scans", "model": "net", "attack": "none", "seed": "0", **given}


def cells(**slots: str) -> pd.DataFrame:
    """Computed cells by identity, each with `slot` or `slot/clean`; later ones are newer."""
    rows = [
        {**labels(attack="stored"), "cell": cell, "created": NOW + timedelta(minutes=number)}
        | {"slot": slot.partition("/")[0], "clean": slot.partition("/")[2] or cell}
        for number, (cell, slot) in enumerate(slots.items())
    ]
    return pd.DataFrame(rows, columns=[*AXES, "cell", "slot", "clean", "created"])


def requests(*runs: tuple[str, list[dict[str, Any]]]) -> pd.DataFrame:
    """One request for each (grid, rows), in the order of time."""
    rows = [
        {**labels(), "tags": "{}", "reason": None, "clean": row.get("cell"), **row, "grid": grid, "created": time}
        for number, (grid, asked) in enumerate(runs)
        for row in asked
        for time in [NOW + timedelta(hours=number)]
    ]
    return pd.DataFrame(rows, columns=[*AXES, "cell", "slot", "clean", "tags", "reason", "grid", "created"])


def asked(attack: str, cell: str | None, slot: str | None, **more: Any) -> dict[str, Any]:
    return {"attack": attack, "cell": cell, "slot": slot, **more}


def shown(frame: pd.DataFrame, *, current: bool = True) -> list[tuple[str, str]]:
    rows = frame[frame["current"] == current]
    return list(zip(rows["attack"], rows["cell"], strict=True))


def test_an_empty_store_has_nothing() -> None:
    assert result_states(requests(), cells()).empty


def test_another_identity_in_the_slot_supersedes_whatever_the_grid() -> None:
    found = result_states(
        requests(("one", [asked("pgd", "old", "s")]), ("two", [asked("mine", "new", "s")])), cells(old="s", new="s")
    )
    assert shown(found) == [("mine", "new")]
    assert shown(found, current=False) == [("pgd", "old")]
    assert found.set_index("cell").loc["old", ["successor", "compared"]].tolist() == ["new", "old"]


def test_a_change_taken_back_is_current_again() -> None:
    runs = [("g", [asked("pgd", "old", "s")]), ("g", [asked("pgd", "new", "s")]), ("g", [asked("pgd", "old", "s")])]
    found = result_states(requests(*runs), cells(old="s", new="s"))
    assert shown(found) == [("pgd", "old")]
    assert shown(found, current=False) == [("pgd", "new")]


def test_labels_that_mean_something_else_now_supersede_in_the_same_grid_only() -> None:
    old, new = asked("@a", "old", "s"), asked("@a", "new", "t")
    assert shown(result_states(requests(("g", [old]), ("g", [new])), cells(old="s", new="t"))) == [("@a", "new")]
    other = result_states(requests(("g", [old]), ("h", [new])), cells(old="s", new="t"))
    assert shown(other) == [("@a", "old"), ("@a", "new")]


def test_two_cells_of_the_same_labels_in_one_request_are_both_current() -> None:
    found = result_states(requests(("g", [asked("pgd", "a", "s"), asked("pgd", "b", "t")])), cells(a="s", b="t"))
    assert shown(found) == [("pgd", "a"), ("pgd", "b")]


def test_one_cell_of_several_labels_has_them_all() -> None:
    found = result_states(requests(("g", [asked("x", "a", "s"), asked("y", "a", "s")])), cells(a="s"))
    assert shown(found) == [("x", "a"), ("y", "a")]


def test_a_renamed_attack_keeps_its_result_under_its_new_name() -> None:
    runs = [("g", [asked("x", "a", "s"), asked("y", "b", "t")]), ("g", [asked("y", "a", "s"), asked("x", "b", "t")])]
    found = result_states(requests(*runs), cells(a="s", b="t"))
    assert sorted(shown(found)) == [("x", "b"), ("y", "a")]
    once = result_states(requests(("g", [asked("x", "a", "s")]), ("g", [asked("z", "a", "s")])), cells(a="s"))
    assert shown(once) == [("z", "a")]


def test_what_a_later_request_left_out_stays() -> None:
    runs = [("g", [asked("x", "a", "s"), asked("y", "b", "t")]), ("g", [asked("x", "a", "s")])]
    assert sorted(shown(result_states(requests(*runs), cells(a="s", b="t")))) == [("x", "a"), ("y", "b")]


def test_what_was_not_computed_is_missing_as_long_as_it_is_asked_for() -> None:
    both, one = [asked("x", "a", "s"), asked("y", "b", "t")], [asked("x", "a", "s")]
    assert shown(result_states(requests(("g", both)), cells(a="s"))) == [("x", "a"), ("y", "b")]
    assert shown(result_states(requests(("g", both), ("g", one)), cells(a="s"))) == [("x", "a")]


def test_numbers_of_a_replaced_model_are_superseded_with_its_clean_record() -> None:
    old = [asked("none", "c1", "c"), asked("x", "a1", "x", clean="c1"), asked("y", "b1", "y", clean="c1")]
    new = [asked("none", "c2", "c"), asked("x", "a2", "x", clean="c2")]
    made = cells(c1="c", a1="x/c1", b1="y/c1", c2="c", a2="x/c2")
    found = result_states(requests(("g", old), ("g", new)), made)
    assert shown(found) == [("none", "c2"), ("x", "a2")]
    assert shown(found, current=False) == [("none", "c1"), ("x", "a1"), ("y", "b1")]
    # The attack that is not asked for any more has no successor of its own: the models are compared.
    assert found.set_index("cell").loc["b1", ["successor", "compared"]].tolist() == ["c2", "c1"]


def test_of_cells_that_no_request_names_the_newest_of_a_slot_is_current() -> None:
    found = result_states(requests(), cells(a="s", b="s", c="t"))
    assert shown(found) == [("stored", "b"), ("stored", "c")]
    assert shown(found, current=False) == [("stored", "a")]
    named = result_states(requests(("g", [asked("x", "a", "s")])), cells(a="s", b="s"))
    assert shown(named) == [("x", "a")]


def test_cells_without_a_slot_stand_for_themselves() -> None:
    made = cells(a="s", b="s")
    made["slot"] = None
    assert len(shown(result_states(requests(), made))) == 2


def test_impossible_combinations_keep_their_reason_and_hide_no_result() -> None:
    gone = asked("x", None, None, reason="no such data")
    found = result_states(requests(("g", [gone])), cells())
    assert found[["cell", "reason", "current"]].values.tolist() == [["", "no such data", True]]
    assert shown(result_states(requests(("g", [asked("x", "a", "s")]), ("g", [gone])), cells(a="s"))) == [("x", "a")]


def test_tags_tell_cells_added_for_evidence() -> None:
    rows = [asked("x", "a", "s", tags='{"evidence": "yes"}'), asked("x", "a", "s")]
    assert result_states(requests(("g", rows)), cells(a="s"))["tags"].tolist() == ['{"evidence": "yes"}', "{}"]
