"""The store: whole files or none, nothing lost, nothing foreign touched."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medrobust import StoreError
from medrobust.api import Store
from medrobust.errors import LostError
from medrobust.results.objects import TEMPORARY, LocalObjects
from medrobust.results.samples import Samples, to_rows
from medrobust.results.schema import TABLES, VERSION
from medrobust.results.store import StepRecord

NOW = datetime(2024, 1, 1, tzinfo=UTC)


def row(cell: str, status: str = "ok", *, minutes: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "cell": cell,
        "status": status,
        "task": "multiclass",
        "clean": "clean",
        "created": NOW + timedelta(minutes=minutes),
        **more,
    }


def samples(value: float = 0.0, *, n: int = 5, labels: Any = "default", groups: bool = True) -> Samples:
    logits = np.arange(2 * n, dtype=np.float32).reshape(n, 2) + np.float32(value)
    given = np.arange(n) % 2 if isinstance(labels, str) else labels
    ids = np.array([f"s{i}" for i in range(n)])
    patients = np.array([f"p{i // 2}" for i in range(n)]) if groups else None
    norm = np.linspace(0, 1, n, dtype=np.float32)
    return Samples(ids, patients, given, logits, norm, norm / 2)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").create()


def write(store: Store, step: str, *cells: str, status: str = "ok", minutes: int = 0, value: float = 0.0) -> None:
    kept = {c: samples(value) for c in cells} if status == "ok" else {}
    store.write_step(StepRecord(step, [row(c, status, minutes=minutes) for c in cells], kept))


@pytest.mark.parametrize("labels", ["default", None, np.eye(3, dtype=np.int64)[[0, 1, 2, 0, 1]]])
@pytest.mark.parametrize("groups", [True, False])
def test_samples_come_back_as_they_went(store: Store, labels: Any, groups: bool) -> None:
    kept = samples(0.25, labels=labels, groups=groups)
    store.write_step(StepRecord("step", [row("a"), row("b")], {"a": kept, "b": samples(n=3)}))
    ((cell, found),) = store.samples(["a"])
    assert cell == "a"
    for name in ("ids", "groups", "labels", "logits", "l2", "linf"):
        given, got = getattr(kept, name), getattr(found, name)
        assert (got is None) if given is None else np.array_equal(got, given)


def test_scores_come_back_as_they_went_and_only_to_records_that_have_some(store: Store) -> None:
    scores = np.array([0.5, np.nan, -1e300, 0.1 + 0.2, np.nan])
    scored = replace(samples(), clean_scores=scores, scores=-scores)
    store.write_step(
        StepRecord("step", [row("a"), row("b"), row("clean")], dict.fromkeys(["b", "clean"], samples()) | {"a": scored})
    )
    found = dict(store.samples(["a", "b"]))
    np.testing.assert_array_equal(found["a"].clean_scores, scores)  # type: ignore[arg-type]
    np.testing.assert_array_equal(found["a"].scores, -scores)  # type: ignore[arg-type]
    assert found["b"].scores is None
    assert found["b"].clean_scores is None
    np.testing.assert_array_equal(dict(store.records(["a"]))["a"].scores, -scores)  # type: ignore[arg-type]


def test_samples_of_a_program_that_knew_no_detectors_are_read(store: Store) -> None:
    rows = to_rows("a", samples()).drop_columns(["clean_score", "score"])
    store.tables.write("samples", "old", rows)
    store.write_rows("cells", "old", [{**row("a"), "samples": "a"}])
    ((_, found),) = store.samples(["a"])
    assert found.scores is None
    assert np.array_equal(found.logits, samples().logits)
    assert not store.damaged


def test_cells_come_back_with_their_columns(store: Store) -> None:
    store.write_step(StepRecord("s", [row("a", attack="pgd", classes=["x", "y"], eps=0.1, images=5)]))
    frame = store.cells()
    assert list(frame.columns) == TABLES["cells"].names
    assert frame.loc["a", ["attack", "eps", "images"]].tolist() == ["pgd", 0.1, 5]
    assert list(frame.loc["a", "classes"]) == ["x", "y"]
    assert list(store.cells(["attack"]).columns) == ["attack", "cell", "status", "created"]


def test_records_join_the_clean_record(store: Store) -> None:
    store.write_step(StepRecord("c", [row("clean")], {"clean": samples(0.0)}))
    store.write_step(StepRecord("a", [row("a"), row("bad", "failed")], {"a": samples(7.0)}))
    found = dict(store.records(["a", "bad", "clean", "unknown"]))
    assert set(found) == {"a", "clean"}
    assert np.array_equal(found["a"].adversarial - found["a"].clean, np.full((5, 2), 7.0, np.float32))
    assert np.array_equal(found["clean"].adversarial, found["clean"].clean)


def test_an_empty_store_answers_with_nothing(store: Store) -> None:
    assert store.cells().empty
    assert store.finished() == set()
    assert store.fitted() == {}
    assert list(store.samples(["a"])) == []
    assert list(store.records(["a"])) == []
    assert store.rows("parts").empty


def test_the_latest_ok_wins(store: Store) -> None:
    write(store, "1", "a", status="failed", minutes=1)
    write(store, "2", "a", minutes=2)
    write(store, "3", "a", status="failed", minutes=3)
    write(store, "4", "b", status="failed", minutes=1)
    write(store, "5", "b", status="invalid", minutes=2)
    assert store.cells()["status"].to_dict() == {"a": "ok", "b": "invalid"}


def test_failed_cells_are_tried_again_and_judged_ones_are_not(store: Store) -> None:
    write(store, "1", "good")
    write(store, "2", "cheat", status="invalid")
    write(store, "3", "crash", status="failed")
    assert store.finished() == {"good", "cheat"}


def test_leftovers_of_a_killed_write_are_ignored(store: Store) -> None:
    write(store, "1", "a")
    for table in ("cells", "samples", "fits"):
        (store.path / table).mkdir(exist_ok=True)
        (store.path / table / f"{TEMPORARY}half.parquet").write_bytes(b"PAR1 half a fi")
    assert list(store.cells().index) == ["a"]
    assert [c for c, _ in store.samples(["a"])] == ["a"]
    store.compact(above=0)
    assert list(store.cells().index) == ["a"]


def test_compaction_keeps_everything(store: Store) -> None:
    for number in range(6):
        write(store, f"{number}", f"a{number}", f"b{number}", minutes=number, value=number)
    write(store, "6", "c", status="failed")
    store.write_rows("fits", "f", [{"fit": "f", "weights": store.save_tensors({"w": torch.ones(2)})}])
    before = store.cells().drop(columns="classes")
    values = {c: s.logits.copy() for c, s in store.samples(list(before.index))}
    store.compact(above=2)
    assert len(list((store.path / "cells").iterdir())) == len(list((store.path / "samples").iterdir())) == 1
    assert store.cells().drop(columns="classes").equals(before)
    after = {c: s.logits for c, s in store.samples(list(before.index))}
    assert after.keys() == values.keys()
    assert len(values) == 12
    assert all(np.array_equal(after[c], values[c]) for c in values)
    assert store.weights_of("f") is not None


def test_compaction_leaves_large_files_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    write(store, "large", *(f"a{i}" for i in range(1000)))
    (large,) = (store.path / "samples").iterdir()
    monkeypatch.setattr("medrobust.results.compaction.SMALL", large.stat().st_size)
    for number in range(3):
        write(store, f"{number}", f"b{number}")
    store.compact(above=2)
    assert len(list((store.path / "samples").iterdir())) == 2
    assert large.exists()
    assert len(store.cells()) == 1003


def test_joined_files_are_no_larger_than_what_is_left_alone(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        write(store, f"{number}", *(f"a{number}-{i}" for i in range(10)))
    sizes = [found.size for found in store.tables.names("samples")]
    monkeypatch.setattr("medrobust.results.compaction.SMALL", 3 * max(sizes))
    before = {c: s.logits.copy() for c, s in store.samples(list(store.cells().index))}
    store.compact(above=2)
    joined = store.tables.names("samples")
    assert 2 < len(joined) < 6
    assert all(found.size < 4 * max(sizes) for found in joined)
    after = {c: s.logits for c, s in store.samples(list(store.cells().index))}
    assert len(before) == 100
    assert all(np.array_equal(after[cell], logits) for cell, logits in before.items())


def test_a_file_written_again_is_read_again(store: Store) -> None:
    write(store, "1", "a", value=0.0)
    first = dict(store.samples(["a"]))["a"].logits
    write(store, "1", "a", value=1.0, minutes=1)
    assert np.array_equal(dict(store.samples(["a"]))["a"].logits, first + 1)


def test_compaction_interrupted_before_the_old_files_went_is_forgiven(store: Store) -> None:
    for number in range(3):
        write(store, f"{number}", f"a{number}", value=number)
    old = {f: f.read_bytes() for t in ("cells", "samples") for f in (store.path / t).iterdir()}
    store.compact(above=0)
    for file, content in old.items():
        file.write_bytes(content)
    assert list(store.cells().index) == ["a0", "a1", "a2"]
    assert sorted(c for c, _ in store.samples(["a0", "a1", "a2"])) == ["a0", "a1", "a2"]


def test_parts_written_twice_are_one(store: Store) -> None:
    rows = [{"part": "p", "class": c, "images": 3} for c in ("x", "y")]
    store.write_rows("parts", "p", rows)
    store.compact(above=0)
    store.write_rows("parts", "p", rows)
    assert store.rows("parts")[["part", "class", "images"]].values.tolist() == [["p", "x", 3], ["p", "y", 3]]


def test_a_table_without_a_column_is_set_aside(store: Store) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    write(store, "1", "a")
    pq.write_table(pa.table({"cell": ["a"]}), store.path / "cells" / "strange.parquet")
    assert store.finished() == {"a"}
    ((found),) = store.damaged
    assert (found.name, found.kept) == ("cells/strange.parquet", "damaged/cells/strange.parquet")
    assert (store.path / found.kept).exists()


def test_tensors_live_under_the_hash_of_their_content(store: Store) -> None:
    tensors = {
        "a": torch.arange(6.0).reshape(2, 3).t(),
        "b": torch.tensor([True]),
        "c": torch.zeros((), dtype=torch.int64),
    }
    content = store.save_tensors(tensors)
    assert store.save_tensors(dict(reversed(tensors.items()))) == content
    found = store.load_tensors(content)
    assert found.keys() == tensors.keys()
    assert all(torch.equal(found[k], tensors[k]) and found[k].dtype == tensors[k].dtype for k in tensors)
    assert store.save_tensors({**tensors, "b": torch.tensor([False])}) != content


def test_damaged_and_missing_tensors_are_named(store: Store) -> None:
    content = store.save_tensors({"w": torch.ones(3)})
    file = store.path / "tensors" / f"{content}.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    with pytest.raises(LostError, match=r"is damaged \(.*\) and set aside as damaged/tensors/.*; run the grid again"):
        store.load_tensors(content)
    assert (store.path / "damaged" / "tensors" / file.name).read_bytes() == data
    with pytest.raises(LostError, match="is not there; run the grid again"):
        store.load_tensors(content)


def test_weights_count_only_while_they_are_there(store: Store) -> None:
    content = store.save_tensors({"w": torch.ones(1)})
    store.write_rows("fits", "f", [{"fit": "f", "weights": content}])
    assert store.fitted() == {"f": content}
    assert store.weights_of("f") == content
    assert store.weights_of("g") is None
    (store.path / "tensors" / f"{content}.safetensors").unlink()
    assert store.fitted() == {}


def test_a_store_of_another_schema_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.json").write_text(json.dumps({"schema": VERSION + 1}))
    with pytest.raises(StoreError, match=f"store of schema {VERSION + 1}, this program reads schema {VERSION}"):
        Store(tmp_path)


@pytest.mark.parametrize("content", ["", "3", "[]", "not json"])
def test_a_damaged_marker_is_named_with_its_remedy(tmp_path: Path, content: str) -> None:
    (tmp_path / "store.json").write_text(content)
    with pytest.raises(StoreError, match=r"store\.json: is damaged; put back"):
        Store(tmp_path)


@pytest.mark.parametrize("content", [None, "", "\0", json.dumps({"schema": VERSION + 1})])
def test_a_marker_that_is_damaged_or_gone_is_written_anew_where_the_tables_say_what_it_said(
    store: Store, content: str | None
) -> None:
    write(store, "1", "a")
    marker = store.path / "store.json"
    marker.unlink() if content is None else marker.write_text(content)
    again = Store(store.path)
    assert again.exists
    assert again.finished() == {"a"}
    assert [each.name for each in again.damaged] == ["store.json"]
    assert json.loads(marker.read_text()) == {"schema": VERSION}
    assert not Store(store.path).damaged


def test_tables_of_somebody_else_make_no_store(tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "cells").mkdir()
    pq.write_table(pa.table({"cell": ["a"]}), tmp_path / "cells" / "biopsies.parquet")
    with pytest.raises(StoreError, match="holds other files and no store"):
        Store(tmp_path)
    assert [p.name for p in tmp_path.rglob("*")] == ["cells", "biopsies.parquet"]


def test_what_is_joined_while_it_is_read_is_read_again(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(4):
        write(store, f"{number}", f"a{number}")
    reader, read = Store(store.path), LocalObjects.read

    def compacted_meanwhile(objects: LocalObjects, name: str, *, last: int | None = None) -> bytes:
        if name.startswith("cells/2-"):
            monkeypatch.setattr(LocalObjects, "read", read)
            store.compact(above=0)
        return read(objects, name, last=last)

    monkeypatch.setattr(LocalObjects, "read", compacted_meanwhile)
    assert reader.finished() == {"a0", "a1", "a2", "a3"}
    assert sorted(c for c, _ in reader.samples(["a0", "a1", "a2", "a3"])) == ["a0", "a1", "a2", "a3"]
    assert not reader.damaged


def test_the_samples_of_a_large_file_are_known_by_its_end(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("medrobust.results.tables.WHOLE", 2**12)
    write(store, "large", *(f"a{i}" for i in range(300)))
    (found,) = store.tables.names("samples")
    assert found.size > 2**12
    file = store.path / found.name
    data = file.read_bytes()
    reader = Store(store.path)
    assert len(reader.finished()) == 300
    assert found.name not in reader.files._sound, "not hashed yet"
    # Damage far from the end is found when the samples are read; at the end, at once.
    file.write_bytes(data[:100] + b"\1" * 100 + data[200:])
    assert len(Store(store.path).finished()) == 300
    reader = Store(store.path)
    assert list(reader.samples(["a0"])) == []
    assert reader.finished() == set()
    file.write_bytes(data[:-100])
    assert Store(store.path).finished() == set()


def test_foreign_directories_and_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(StoreError, match="holds other files and no store; choose another --store"):
        Store(tmp_path)
    with pytest.raises(StoreError, match="is a file, not a store"):
        Store(tmp_path / "thesis.tex")
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_looking_at_a_store_does_not_make_one(tmp_path: Path) -> None:
    store = Store(tmp_path / "absent")
    assert not store.exists
    assert store.cells().empty
    assert not (tmp_path / "absent").exists()
    assert store.create().create().exists


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        Store(tmp_path / "file" / "store").create()
