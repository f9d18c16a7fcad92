"""Submissions: what is verified of them, with the code of a stranger and without, and how forged ones are caught."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import safetensors.numpy

from medrobust import StoreError
from medrobust.api import Publication, Session, Store, parse_grid
from medrobust.engine.submissions import Findings, importable, plugin_files, verify_submission
from medrobust.plugins.packing import sources
from medrobust.results.files import content_hash
from medrobust.results.schema import TABLES
from medrobust.results.submission import open_submission, write_submission

MakeSession = Callable[..., Session]
Change = Callable[[dict[str, Any]], None]
MINE = '''
from dataclasses import dataclass
from typing import ClassVar

from beside import step
from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class Mine(Attack):
    """One step."""

    name: ClassVar[str] = "mine"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, classifier, images, goal, budget, rng):
        return step(classifier, images, goal, budget.eps)
'''
BESIDE = """
def step(classifier, images, goal, eps):
    return (images + eps * classifier.gradient(images, goal.loss).gradient.sign()).clamp(0, 1)
"""
GRID = """
[[grid]]
dataset = "textures"
model = ["tiny-net", { name = "tiny-net", recipe = { epochs = 1 } }]
attack = ["sign", "mine", "one-for-all"]
budget = "linf:8/255"
"""


@contextlib.contextmanager
def another_process() -> Iterator[None]:
    """What is imported from the folders of plugin files is forgotten afterwards, as with the process of a program."""
    path = list(sys.path)
    try:
        yield
    finally:
        sys.path[:] = path
        for name in ("beside", "medrobust_local_mine"):
            sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, tiny: Path, misbehaving: Path) -> Path:
    """A folder with a submission of eight cells (`mine.zip`), made with an attack that is in no other place."""
    folder = tmp_path_factory.mktemp("stranger")
    (folder / "mine.py").write_text(MINE)
    (folder / "beside.py").write_text(BESIDE)
    with another_process():
        _submit(folder, (tiny, misbehaving, folder / "mine.py"))
    return folder


def _submit(folder: Path, files: tuple[Path, ...]) -> None:
    session = Session(folder / "store", files, device="cpu", workers=1)
    plan = session.plan(parse_grid(tomllib.loads(GRID), session.registry, where="grid.toml"))
    assert session.run(plan).complete
    source = sources([session.registry.find("attack", "mine")])
    cells = set(session.store.cells(["cell"])["cell"])
    assert len(cells) == 8
    publication = Publication.of(session.store)
    excerpt = write_submission(session.store, cells, folder / "mine.zip", publication, session.registry, source)
    assert (excerpt.cells, excerpt.weights, excerpt.perturbations) == (8, 2, 2)


Verify = Callable[..., Findings]


@pytest.fixture
def verified(session: MakeSession, tmp_path: Path, stranger: Path) -> Verify:
    """Verify an archive as somebody who has the data set and the models, and not the attack."""

    def verify(file: Path | None = None, *, trust: bool = True, sample: int = 20, refit: bool = False) -> Findings:
        submission = open_submission(file or stranger / "mine.zip", tmp_path / "unpacked")
        files = plugin_files(submission, ()) if trust else ()
        with another_process(), importable(submission):
            session_here = session(tmp_path / "verified", files=files)
            return verify_submission(submission, session_here, sample=sample, seed=1, refit=refit)

    return verify


def test_a_submission_is_verified_from_the_archive_alone(verified: Verify, stranger: Path) -> None:
    shutil.move(stranger / "mine.py", stranger / "gone")
    try:
        found = verified()
    finally:
        shutil.move(stranger / "gone", stranger / "mine.py")
    assert (found.total, found.candidates, len(found.drawn)) == (8, 8, 8)
    assert {each.outcome for each in found.drawn} == {"equal"}
    assert not found.contradictions
    assert not found.unverified


def test_without_trust_no_code_of_the_archive_runs(verified: Verify) -> None:
    found = verified(trust=False)
    assert found.foreign == {"mine:mine": 2}
    assert found.candidates == len(found.drawn) == 6
    assert {each.outcome for each in found.drawn} == {"equal"}
    assert found.unverified
    assert found.different == 0


def test_models_trained_anew_are_compared_image_by_image(verified: Verify) -> None:
    found = verified(refit=True, sample=3)
    assert len(found.drawn) == 3
    assert all(each.outcome in ("equal", "interval") for each in found.drawn), found.drawn


# Forged ones ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def forged(tmp_path: Path, stranger: Path) -> Callable[[Callable[[Path], None]], Path]:
    """The submission after a change of what is in it."""

    def forge(change: Callable[[Path], None]) -> Path:
        folder, file = tmp_path / "forged", tmp_path / "forged.zip"
        with zipfile.ZipFile(stranger / "mine.zip") as archive:
            archive.extractall(folder)
        change(folder)
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in sorted(folder.rglob("*")):
                if each.is_file():
                    archive.write(each, each.relative_to(folder).as_posix())
        return file

    return forge


Forge = Callable[[Callable[[Path], None]], Path]


def rows_of(folder: Path, table: str, change: Change) -> None:
    """Change every row of a table, and give the file the name of its new content."""
    store = Store(folder / "store")
    for file in store.tables.names(table):
        rows = store.tables.read_file(table, file).to_pylist()
        for row in rows:
            change(row)
        store.tables.replace(table, "compact-forged", [file], pa.Table.from_pylist(rows, schema=TABLES[table]))


def attacked(folder: Path, attack: str) -> list[str]:
    frame = Store(folder / "store").cells(["attack"])
    return frame.index[frame["attack"] == attack].tolist()


def test_logits_that_nobody_computed_are_found_by_running_the_cell(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        cell = attacked(folder, "mine")[0]
        rows_of(folder, "samples", lambda row: _flip(row) if row["record"].startswith(cell) else None)

    def _flip(row: dict[str, Any]) -> None:
        row["logits"] = row["logits"][::-1]

    found = verified(forged(change))
    assert found.different == 1
    (wrong,) = [each for each in found.drawn if each.outcome == "different"]
    assert "logits differ by up to " in wrong.detail
    assert len(wrong.images) == 24


def test_labels_of_one_record_are_held_against_the_others(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        cell = attacked(folder, "mine")[0]
        rows_of(folder, "samples", lambda row: _relabel(row) if row["record"].startswith(cell) else None)

    def _relabel(row: dict[str, Any]) -> None:
        row["label"] = [int(np.argmax(row["logits"]))]

    found = verified(forged(change), trust=False, sample=1)
    (wrong,) = found.contradictions
    assert wrong.outcome == "different"
    assert "mine linf:8/255" in wrong.what
    assert "its images, labels or patients are not those of the other records" in wrong.detail


def test_labels_of_all_records_are_held_against_the_data(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        rows_of(folder, "samples", lambda row: row.update(label=[0]))

    found = verified(forged(change), trust=False)
    assert found.different == 6
    assert all("the label of " in each.detail for each in found.drawn)


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"budget": "linf:64/255"}, "budget is 'linf:64/255' in the store"),
        ({"attack": "pgd"}, "attack is 'pgd' in the store"),
        ({"white_box": False}, "white_box is False in the store"),
        ({"slot": "0" * 20}, "slot is "),
        ({"classes": ["ill", "well"]}, "classes is "),
        ({"definition": "{}"}, "the definition of a cell lacks"),
        ({"identity": "[]"}, "its identity cannot be read"),
    ],
)
def test_columns_that_were_changed_contradict_the_identity(
    changed: dict[str, Any], told: str, forged: Forge, verified: Verify
) -> None:
    def change(folder: Path) -> None:
        cells = attacked(folder, "sign")
        rows_of(folder, "cells", lambda row: row.update(changed) if row["cell"] in cells else None)

    # Found in every cell, drawn or not, and without the stranger's code.
    found = verified(forged(change), trust=False, sample=1)
    assert len(found.contradictions) == 2
    assert all(told in each.detail for each in found.contradictions), found.contradictions


def test_a_radius_that_was_changed_is_found_by_running_the_cell(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        cell = attacked(folder, "sign")[0]
        rows_of(folder, "cells", lambda row: row.update(eps=0.5) if row["cell"] == cell else None)

    found = verified(forged(change), trust=False)
    (wrong,) = [each for each in found.drawn if each.outcome == "different"]
    assert "eps is 0.5 in the store" in wrong.detail


def test_a_request_in_the_place_of_another_cell_is_found(forged: Forge, verified: Verify) -> None:
    """By it a submission would make the results of others superseded."""

    def change(folder: Path) -> None:
        cell = attacked(folder, "sign")[0]
        rows_of(folder, "requests", lambda row: row.update(slot="0" * 20) if row["cell"] == cell else None)

    (wrong,) = verified(forged(change), trust=False, sample=1).contradictions
    assert "names another slot" in wrong.detail


def test_a_cell_under_the_identity_of_another_is_found(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        cell = attacked(folder, "sign")[0]
        rows_of(folder, "cells", lambda row: row.update(cell="f" * 20) if row["cell"] == cell else None)

    found = verified(forged(change), trust=False)
    assert any("its fields give the identity " in each.detail for each in found.contradictions)


@pytest.mark.long
def test_a_crash_that_was_made_a_result_is_found(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        cell = attacked(folder, "mine")[0]
        edit = {"status": "invalid", "reason": "leaves the box", "samples": None}
        rows_of(folder, "cells", lambda row: row.update(edit) if row["cell"] == cell else None)

    found = verified(forged(change))
    (wrong,) = [each for each in found.drawn if each.outcome == "different"]
    assert wrong.detail == "invalid (leaves the box) in the store, ok here"


def test_source_that_was_changed_after_the_run_is_found_in_every_cell(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        file = folder / "source" / "mine" / "beside.py"
        file.write_text(file.read_text().replace("eps * ", "0.5 * eps * "))

    found = verified(forged(change), sample=1)
    assert len(found.contradictions) == 2
    assert all("the source of mine:mine in the archive is not the one" in e.detail for e in found.contradictions)


def test_weights_under_the_name_of_others_do_not_match_their_hash(forged: Forge, verified: Verify) -> None:
    def change(folder: Path) -> None:
        one, other, *_ = sorted((folder / "store" / "tensors").iterdir())
        shutil.copy(one, other)

    with pytest.raises(StoreError, match=r"1 of its files damaged or changed: tensors/.*does not match the hash"):
        verified(forged(change))


def _swap(folder: Path, *, thoroughly: bool) -> None:
    """Give each model the weights of the other."""
    contents = dict(sorted(Store(folder / "store").fitted().items()))
    swapped = dict(zip(contents, reversed(contents.values()), strict=True))
    rows_of(folder, "fits", lambda row: row.update(weights=swapped[row["fit"]]))

    def follow(row: dict[str, Any]) -> None:
        pairs = (each.partition("=") for each in row["made_from"])
        row["made_from"] = [f"{name}={swapped.get(name, content)}" for name, _, content in pairs]

    if thoroughly:
        rows_of(folder, "cells", follow)
        rows_of(folder, "artifacts", follow)


def test_swapped_weights_leave_records_of_other_weights(forged: Forge, verified: Verify) -> None:
    found = verified(forged(lambda folder: _swap(folder, thoroughly=False)))
    assert len(found.contradictions) == 8
    assert all("not those that the submission holds" in each.detail for each in found.contradictions)


def test_swapped_weights_give_other_logits(forged: Forge, verified: Verify) -> None:
    found = verified(forged(lambda folder: _swap(folder, thoroughly=True)))
    assert not found.contradictions
    assert {each.outcome for each in found.drawn} == {"different"}


# What is no submission ------------------------------------------------------------------------------------------------


def _pickle(folder: Path) -> None:
    (folder / "store" / "tensors" / "weights.pkl").write_bytes(b"\x80\x04.")


def _garbage(folder: Path) -> None:
    data = b"\xff" * 64
    (folder / "store" / "tensors" / f"{content_hash(data)}.safetensors").write_bytes(data)


def _pickled_parquet(folder: Path) -> None:
    data = b"\x80\x04."
    (folder / "store" / "cells" / f"compact-x.{content_hash(data)}.parquet").write_bytes(data)


def _bomb(folder: Path) -> None:
    store = Store(folder / "store")
    rows = {field.name: pa.nulls(600_000, field.type) for field in TABLES["fits"]}
    rows["fit"] = rows["weights"] = pa.array(["x"] * 600_000)
    store.tables.replace("fits", "compact-bomb", [], pa.table(rows, schema=TABLES["fits"]))
    assert max(f.size for f in store.tables.names("fits")) < 50_000


def _facts(folder: Path, **changes: object) -> None:
    file = folder / "submission.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_pickle, "weights.pkl', which belongs to no submission"),
        (_garbage, "is no safetensors file"),
        (_pickled_parquet, "is no Parquet file"),
        (_bomb, "declares 600"),
        (lambda folder: (folder / "evil.py").write_text(""), "'evil.py', which belongs to no submission"),
        (lambda folder: (folder / "source" / "mine").rename(folder / "source" / "other"), "belongs to no submission"),
        (lambda folder: (folder / "submission.json").unlink(), "has no submission.json"),
        (lambda folder: (folder / "submission.json").write_text("[]"), "submission.json cannot be read"),
        (lambda folder: (folder / "store" / "store.json").write_text("{}"), "store.json (its content is wrong"),
        (lambda folder: shutil.rmtree(folder / "store"), "holds no store"),
        (lambda folder: _facts(folder, submission=2), "submission.json cannot be read: submission"),
        (lambda folder: _facts(folder, more=1), "submission.json cannot be read: more"),
        (
            lambda folder: _facts(folder, plugins=[{"distribution": "..", "version": "", "file": "x.py"}]),
            "names the plugin '..'",
        ),
        (
            lambda folder: _facts(folder, plugins=[{"distribution": "mine", "version": "", "file": "../../x.py"}]),
            "names the plugin 'mine'",
        ),
    ],
)
def test_what_is_no_submission_is_refused(
    change: Callable[[Path], None], told: str, forged: Forge, tmp_path: Path
) -> None:
    file = forged(change)
    with pytest.raises(StoreError) as raised:
        open_submission(file, tmp_path / "unpacked")
    assert told in str(raised.value)
    assert str(file) in str(raised.value)


def test_weights_are_safetensors(stranger: Path, tmp_path: Path) -> None:
    opened = open_submission(stranger / "mine.zip", tmp_path / "unpacked")
    files = [found.name for found in opened.store.tensors.names()]
    assert len(files) == 4
    assert all(safetensors.numpy.load((opened.store.path / name).read_bytes()) for name in files)
