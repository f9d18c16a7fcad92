"""Submissions with anything in them: a result or one of our errors, nothing else."""

from __future__ import annotations

import random
import shutil
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from medrobust import MedrobustError
from medrobust.api import Publication, Session, Store, parse_grid
from medrobust.engine.submissions import verify_submission
from medrobust.results.archive import pack
from medrobust.results.files import content_hash
from medrobust.results.schema import TABLES
from medrobust.results.submission import open_submission, write_submission
from medrobust.results.tables import stem_of

GRID = """
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["sign", "one-for-all"]
budget = "linf:8/255"
"""
INPUTS = 40
TEXTS: list[str | None] = [
    *(None, "", "{}", "[]", "null", "x", "\x00", "\x1b[2J", "../../etc/passwd", "\ud7ff", "9" * 5000, "1e999", "-1"),
    *('{"name": "pgd"}', '{"dataset": {"name": 3}}', "[" * 100_000, '{"a":' * 2000 + "1" + "}" * 2000),
]
NUMBERS: list[int | None] = [None, 0, 1, -1, 2**31 - 1]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory, tiny: Path) -> Session:
    """A session that ran three cells and that knows their plugins."""
    made = Session(tmp_path_factory.mktemp("ran") / "store", (tiny,), device="cpu", workers=1)
    plan = made.plan(parse_grid(tomllib.loads(GRID), made.registry, where="grid.toml"))
    assert made.run(plan).complete
    return made


@pytest.fixture(scope="module")
def submission(session: Session, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of a submission of these cells."""
    folder = tmp_path_factory.mktemp("submission")
    cells = set(session.store.cells(["cell"])["cell"])
    write_submission(session.store, cells, folder / "a.zip", Publication(), session.registry, None)
    open_submission(folder / "a.zip", folder / "content")
    return folder / "content"


def in_bytes(folder: Path, draw: random.Random) -> None:
    """Change bytes of any file; it gets the name of its new content, so that no hash gives it away."""
    file = draw.choice([each for each in sorted(folder.rglob("*")) if each.is_file()])
    data = bytearray(file.read_bytes())
    for _ in range(draw.choice([1, 2, 8])):
        data[draw.randrange(len(data))] = draw.randrange(256)
    data = data[: draw.randrange(len(data))] if draw.random() < 0.2 else data
    file.unlink()
    parts = file.name.split(".")
    if len(parts[-2]) == 32:
        parts[-2] = content_hash(bytes(data))
    file.with_name(".".join(parts)).write_bytes(data)


def in_values(folder: Path, draw: random.Random) -> None:
    """Put odd values of the right type into a column of a table."""
    store = Store(folder / "store")
    table = draw.choice([name for name in TABLES if store.tables.names(name)])
    column = draw.choice(list(TABLES[table]))
    for file in store.tables.names(table):
        rows = store.tables.read_file(table, file).to_pylist()
        value = odd(column.type, draw)
        value = "" if value is None and column.name == "record" else value
        for row in rows if draw.random() < 0.5 else [draw.choice(rows)]:
            row[column.name] = value
        schema = TABLES[table]
        if value is None:
            at = schema.get_field_index(column.name)
            schema = schema.set(at, column.with_nullable(True))
        store.tables.replace(table, stem_of(file), [file], pa.Table.from_pylist(rows, schema=schema))


def odd(kind: pa.DataType, draw: random.Random) -> Any:
    if pa.types.is_list(kind):
        return draw.choice([None, [], *([odd(kind.value_type, draw)] * n for n in (1, 2, 40))])
    if pa.types.is_dictionary(kind) or pa.types.is_string(kind):
        return draw.choice(TEXTS)
    if pa.types.is_boolean(kind) or pa.types.is_timestamp(kind):
        return None
    if pa.types.is_floating(kind):
        return draw.choice([None, 0.0, -1.0, 1e6, float("nan"), float("inf")])
    return draw.choice(NUMBERS)


def archived(content: Path, tmp_path: Path, number: int, change: Callable[[Path, random.Random], None]) -> Path:
    folder = tmp_path / "changed"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(content, folder)
    change(folder, random.Random(number))
    files = [each for each in sorted(folder.rglob("*")) if each.is_file()]
    pack(tmp_path / "changed.zip", [(each.relative_to(folder).as_posix(), each) for each in files])
    return tmp_path / "changed.zip"


@pytest.mark.long
@pytest.mark.parametrize("change", [in_bytes, in_values])
def test_a_changed_submission_is_told_or_refused(
    change: Callable[[Path, random.Random], None], session: Session, submission: Path, tmp_path: Path
) -> None:
    outcomes = set()
    for number in range(INPUTS):
        file = archived(submission, tmp_path, number, change)
        place = tmp_path / "unpacked"
        shutil.rmtree(place, ignore_errors=True)
        try:
            found = verify_submission(open_submission(file, place), session, sample=0, seed=0)
            outcomes.add("contradicted" if found.different else "nothing seen")
        except MedrobustError:
            outcomes.add("refused")
    assert "refused" in outcomes
    assert "contradicted" in outcomes or change is in_bytes
