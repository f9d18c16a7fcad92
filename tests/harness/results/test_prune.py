"""Pruning: what nobody needs goes, what a current cell needs stays, and a kill loses nothing of it."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medrobust.api import Session, Store
from medrobust.results.inventory import Inventory, sizes
from medrobust.results.objects import TEMPORARY, LocalObjects
from medrobust.results.prune import prune
from medrobust.results.store import StepRecord
from medrobust.results.tables import stem_of

TESTS = Path(__file__).parents[2]
FILES = (TESTS / "tiny.py", TESTS / "misbehaving.py")
GRID = """
[define]
net = { name = "tiny-net", recipe = { epochs = EPOCHS } }

[[grid]]
dataset = "textures"
model = "@net"
defense = ["none", { name = "drilled", rounds = 2 }]
attack = ["none", "sign", "one-for-all", "misbehaving"]
budget = "linf:8/255"

[[grid]]
dataset = "textures"
model = "@net"
attack = "sign"
budget = "linf:8/255"
probe = "difference"
"""


def run(place: Path, epochs: int) -> Session:
    file = place.parent / "grid.toml"
    file.write_text(GRID.replace("EPOCHS", str(epochs)))
    session = Session(place, FILES, device="cpu", workers=1)
    session.run(session.plan(file))
    return session


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store in which a model was replaced under its name; on both, an attack fails."""
    place = tmp_path_factory.mktemp("used") / "store"
    run(place, 1)
    run(place, 2)
    return place


@pytest.fixture
def store(used: Path, tmp_path: Path) -> Store:
    shutil.copytree(used, tmp_path / "store")
    shutil.copy(used.parent / "grid.toml", tmp_path / "grid.toml")
    return Store(tmp_path / "store")


def contents(store: Store, state: str = "current") -> dict[str, Any]:
    """Everything that cells of a state rest on, as far as it is there."""
    inventory = Inventory.of(store)
    cells = inventory.having(state)  # type: ignore[arg-type]
    frame = inventory.cells[inventory.cells["cell"].isin(cells)]
    weights = sorted({w for listed in frame["weights"] for w in listed})
    artifacts = store.rows("artifacts")
    return {
        "records": {c: r.adversarial.tobytes() for c, r in store.records(cells)},
        "weights": {w: sorted(store.load_tensors(c)) for w in weights if (c := store.weights_of(w))},
        "artifacts": dict(zip(artifacts["artifact"], artifacts["content"], strict=True)),
        "parts": store.rows("parts").to_dict("list"),
    }


def test_the_store_has_something_of_each_state(store: Store) -> None:
    inventory = Inventory.of(store)
    assert {s: len(inventory.having(s)) for s in ("current", "superseded", "failed", "missing")} == {
        "current": 6,
        "superseded": 8,
        "failed": 2,
        "missing": 0,
    }
    counts = inventory.counts()
    assert counts.loc[("textures", "net", "misbehaving")].tolist() == [0, 1, 1, 0]
    assert counts.loc[("textures", "net + drilled", "sign")].tolist() == [1, 1, 0, 0]


def test_pruning_removes_what_is_not_current_with_all_that_it_alone_needs(store: Store) -> None:
    before, room = contents(store), sum(sizes(store).values())
    artifacts = before.pop("artifacts")
    removal = prune(store)
    assert (removal.superseded, removal.failed, removal.kept) == (8, 2, 6)
    after = contents(store)
    kept = after.pop("artifacts")
    assert after == before
    # Two perturbations (of the bare and of the drilled model) and one probe, of each model one half.
    assert (len(artifacts), len(kept)) == (6, 3)
    assert len(store.cells()) == 6
    assert len(store.fitted()) == 3
    assert len(list((store.path / "tensors").iterdir())) == 6
    assert sum(sizes(store).values()) < room
    assert removal.bytes > 0
    assert prune(store).nothing


def test_the_next_run_computes_only_what_failed(store: Store) -> None:
    prune(store)
    again = Session(store.path, FILES, device="cpu", workers=1)
    plan = again.plan(store.path.parent / "grid.toml")
    outcome = again.run(plan)
    assert (outcome.cached, outcome.made) == (6, 2)
    assert again.done().weights == store.fitted().keys()


def test_a_dry_run_says_the_same_and_changes_nothing(store: Store) -> None:
    files = {f: f.read_bytes() for f in store.path.rglob("*") if f.is_file()}
    said = prune(store, dry_run=True)
    assert {f: f.read_bytes() for f in store.path.rglob("*") if f.is_file()} == files
    done = prune(store)
    assert (said.superseded, said.failed, said.orphans, said.kept) == (
        done.superseded,
        done.failed,
        done.orphans,
        done.kept,
    )


def test_each_kind_can_be_removed_alone(store: Store) -> None:
    assert prune(store, superseded=False, orphaned=False).failed == 4
    inventory = Inventory.of(store)
    assert (len(inventory.having("superseded")), len(inventory.having("missing"))) == (6, 2)
    removal = prune(store, failed=False, orphaned=False)
    assert (removal.superseded, removal.failed) == (6, 0)
    # An iteration on the way to weights that went belongs to nobody, and goes with the orphans.
    assert len(store.fitted()) == 4
    assert prune(store, superseded=False, failed=False).orphans["fits"] == 1
    assert prune(store).nothing


def test_orphans_go_once_they_are_old_enough_to_belong_to_no_run(store: Store) -> None:
    prune(store)
    frame = store.cells()
    clean = frame[frame["attack"] == "none"]["cell"].iloc[0]
    ((_, samples),) = store.samples([clean])
    store.write_step(StepRecord("lost", [{"cell": "nobody", "status": "ok"}], {"nobody": samples}))
    (row,) = (found for found in store.tables.names("cells") if stem_of(found).startswith("lost"))
    store.objects.remove(row.name)
    content = store.save_tensors({"a": torch.ones(3)})
    (store.path / "cells" / f"{TEMPORARY}half.parquet").write_bytes(b"half")
    assert prune(store).nothing
    removal = prune(store, grace=-1.0)
    assert {k: n for k, n in removal.orphans.items() if n} == {"samples": 1, "tensors": 1, "temporary files": 1}
    assert content not in store.tensors.contents()
    assert list(store.samples(["nobody"])) == []
    assert len(list(store.records(list(store.cells().index)))) == 6


def test_what_cells_that_were_not_computed_yet_need_stays(tmp_path: Path) -> None:
    place = tmp_path / "store"
    session = run(place, 1)
    shutil.rmtree(place / "cells")
    shutil.rmtree(place / "samples")
    fits = session.store.fitted()
    # The two iterations of the defense and the model below; a later run goes on from them.
    assert len(fits) == 3
    prune(Store(place), grace=-1.0)
    assert Store(place).fitted() == fits
    assert len(Store(place).artifacts()) == 3


@pytest.mark.long
def test_a_kill_at_any_moment_loses_nothing_that_stays(
    used: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def operations(place: Path, most: float = np.inf) -> int:
        """Prune, and stop before another file operation than the first `most`; how many there were."""
        done = 0

        def step() -> None:
            nonlocal done
            if done >= most:
                raise KeyboardInterrupt
            done += 1

        original, unlink = LocalObjects.write, LocalObjects.remove

        def write(objects: LocalObjects, name: str, data: bytes) -> None:
            step()
            original(objects, name, data)

        def remove(objects: LocalObjects, name: str) -> None:
            step()
            unlink(objects, name)

        with monkeypatch.context() as patch:
            patch.setattr(LocalObjects, "write", write)
            patch.setattr(LocalObjects, "remove", remove)
            with contextlib.suppress(KeyboardInterrupt):
                prune(Store(place))
        return done

    shutil.copytree(used, tmp_path / "whole")
    steps = operations(tmp_path / "whole")
    wanted = contents(Store(tmp_path / "whole"))
    assert steps > 10
    # The first and the last operations, and some in between: each costs half a second.
    for most in sorted({*range(4), *range(4, steps, max(steps // 8, 1)), steps - 1}):
        place = tmp_path / f"store{most}"
        shutil.copytree(used, place)
        assert operations(place, most) == most
        left = contents(Store(place))
        assert left["records"] == wanted["records"]
        assert left["weights"] == wanted["weights"]
        assert left["artifacts"].items() >= wanted["artifacts"].items()
        prune(Store(place), grace=-1.0)
        assert contents(Store(place)) == wanted
        assert len(list((place / "tensors").iterdir())) == 6


def test_files_that_keep_some_rows_keep_them_as_they_were(store: Store) -> None:
    store.compact(above=0)
    before = contents(store)["records"]
    prune(store)
    assert contents(store)["records"] == before
    assert len(store.tables.names("samples")) == 1
    assert np.all(store.cells()["status"] == "ok")
