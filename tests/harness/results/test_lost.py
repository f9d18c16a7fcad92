"""Which rows still mean something, as pure functions of tables."""

from __future__ import annotations

import pyarrow as pa

from medrobust.results.lost import NO_SAMPLES, OTHER_CONTENT, first_there, made_from, mark_lost, outdated


def cells(*rows: tuple[str, str | None, dict[str, str] | None]) -> pa.Table:
    return pa.table(
        {
            "status": pa.array([status for status, _, _ in rows]),
            "samples": pa.array([key for _, key, _ in rows], pa.string()),
            "made_from": pa.array([None if m is None else made_from(m) for _, _, m in rows], pa.list_(pa.string())),
            "reason": pa.array(["said before"] * len(rows)),
        }
    )


def test_a_cell_without_its_samples_is_missing_and_others_are_left_alone() -> None:
    rows = cells(("ok", "a", None), ("ok", "b", None), ("failed", None, None), ("invalid", None, None))
    marked = mark_lost(rows, {"a"}, {})
    assert marked["status"].to_pylist() == ["ok", "missing", "failed", "invalid"]
    assert marked["reason"].to_pylist() == ["said before", NO_SAMPLES, "said before", "said before"]
    assert mark_lost(rows, {"a", "b"}, {}) is rows


def test_what_was_made_from_other_weights_is_missing_whatever_the_verdict() -> None:
    old, new = {"fit": "old"}, {"fit": "new", "other": "x"}
    rows = cells(("ok", "a", old), ("invalid", None, old), ("failed", None, old), ("ok", "b", new), ("ok", "c", None))
    marked = mark_lost(rows, {"a", "b", "c"}, new)
    assert marked["status"].to_pylist() == ["missing", "missing", "failed", "ok", "ok"]
    assert marked["reason"].to_pylist()[:2] == [OTHER_CONTENT, OTHER_CONTENT]


def test_weights_that_are_not_there_at_all_make_no_cell_missing() -> None:
    assert mark_lost(cells(("ok", "a", {"fit": "old"})), {"a"}, {})["status"].to_pylist() == ["ok"]


def test_rows_are_told_apart_over_the_borders_of_files() -> None:
    column = pa.chunked_array(
        [pa.array([["f=1"], None, []], pa.list_(pa.string())), pa.array([["g=1", "f=2"], ["f=1"]])]
    )
    assert outdated(column, {"f": "1"}).to_pylist() == [False, False, False, True, False]
    assert outdated(column, {"f": "1", "g": "2"}).to_pylist() == [False, False, False, True, False]
    assert outdated(column, {"f": "3"}).to_pylist() == [True, False, False, True, True]


def test_of_weights_made_twice_the_first_that_are_there_count() -> None:
    rows = [("f", "late", "2024-02"), ("f", "early", "2024-01"), ("g", "gone", "2024-01"), ("g", "kept", "2024-03")]
    assert first_there(rows, {"late", "early", "kept"}) == {"f": "early", "g": "kept"}
    assert first_there(reversed(rows), {"late", "kept"}) == {"f": "late", "g": "kept"}
    assert first_there(rows, set()) == {}
