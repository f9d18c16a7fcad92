"""Readers of what is passed on: tables of a store, submissions, archives."""

from __future__ import annotations

import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from medrobust import StoreError
from medrobust.api import Publication, Registry, Session, Store
from medrobust.results.archive import Bounds, unpack
from medrobust.results.files import content_hash
from medrobust.results.marker import CONTENT, MARKER
from medrobust.results.schema import TABLES
from medrobust.results.submission import open_submission, write_submission

from ..fuzzing import Reader
from ..mutations import TEXTS, damaged, odd_text, odd_value, rezipped


def kept_by_a_run(folder: Path, plugins: Path) -> dict[str, object]:
    """What some readers need beside a registry and a folder, by their names: a store, and a submission of it."""
    session = Session(folder / "store", (plugins,), device="cpu", workers=1)
    block = {"dataset": "textures", "model": "tiny-net", "attack": ["sign"], "budget": "linf:8/255"}
    assert session.run(session.plan({"grid": [block]})).complete
    cells = set(session.store.cells(["cell"])["cell"])
    write_submission(session.store, cells, folder / "a.zip", Publication(), session.registry, None)
    return {"parquet": session.store, "submission": (folder / "a.zip").read_bytes()}


def parquet(registry: Registry, folder: Path, made: Store) -> Reader:
    """Tables of a store: bytes, values, types, columns and metadata, each under the hash of its new content."""
    seeds = {t: made.objects.read(made.tables.names(t)[0].name) for t in TABLES if made.tables.names(t)}
    place = folder / "store"
    place.mkdir()
    (place / MARKER).write_text(CONTENT)

    def make(draw: random.Random) -> tuple[str, bytes]:
        name = draw.choice(list(seeds))
        if draw.random() < 0.55:
            data = bytearray(seeds[name])
            # Half of the changes are made in the part that says what the rest is.
            about = int.from_bytes(data[-8:-4], "little") + 8
            if draw.random() < 0.5:
                return name, bytes(data[:-about]) + damaged(bytes(data[-about:]), draw, list(seeds.values()))
            return name, damaged(bytes(data), draw, list(seeds.values()))
        return name, odd_parquet(seeds[name], draw)

    def read(given: tuple[str, bytes]) -> object:
        name, content = given
        file = place / name / f"a.{content_hash(content)}.parquet"
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(content)
        try:
            store = Store(place)
            found: list[object] = [store.tables.read(name)]
            if name == "samples":
                found += store.samples(store.tables.records())
            elif name in ("cells", "requests"):
                found += [store.cells() if name == "cells" else store.requests()]
            if store.damaged:
                raise StoreError(store.damaged[0].why)
            return found
        finally:
            file.unlink(missing_ok=True)
            shutil.rmtree(place / "damaged", ignore_errors=True)

    return Reader("parquet", make, read)


def odd_parquet(data: bytes, draw: random.Random) -> bytes:
    """A table with a column of another type or of odd values, another set of columns, or metadata of others."""
    rows = pq.read_table(pa.BufferReader(data), use_threads=False)
    at = draw.randrange(rows.num_columns)
    name, count = rows.schema.names[at], len(rows)
    odd: list[Callable[[], Any]] = [
        lambda: pa.array([draw.randrange(-5, 2**31) for _ in range(count)]),
        lambda: pa.array([draw.choice(TEXTS[:30]) for _ in range(count)]),
        lambda: pa.array([draw.choice((None, [], ["a"], [None])) for _ in range(count)], pa.list_(pa.string())),
        lambda: pa.array(
            [draw.choice((None, 0.0, float("nan"), float("inf"), -1e300)) for _ in range(count)], pa.float64()
        ),
        lambda: pa.array([{"a": 1}] * count, pa.struct([("a", pa.int64())])),
        lambda: pa.array([b"\xff\xfe"] * count, pa.binary()),
        lambda: pa.nulls(count, rows.schema.types[at]),
        lambda: pa.array([None, *range(count)][:count], pa.timestamp("us")),
        lambda: pa.array(["a"] * count).dictionary_encode(),
    ]
    kind = draw.randrange(8)
    if kind == 0:
        rows = rows.drop_columns([name])
    elif kind == 1:
        rows = rows.append_column(draw.choice((name, "more", "")), draw.choice(odd)())
    elif kind == 2:
        rows = rows.rename_columns([draw.choice((*TEXTS[:25], n)) if n == name else n for n in rows.schema.names])
    elif kind == 3:
        rows = rows.slice(0, 0) if draw.random() < 0.3 else pa.concat_tables([rows] * draw.choice((2, 50)))
    elif kind == 4:
        about = {
            "pandas": odd_text('{"index_columns": ["a"], "columns": [{"name": null}]}', draw),
            "medrobust records": "x",
        }
        rows = rows.replace_schema_metadata({**about, "ARROW:schema": odd_text("AAAA", draw)})
    else:
        rows = rows.set_column(at, name, draw.choice(odd)())
    sink = io.BytesIO()
    options: dict[str, Any] = {"compression": draw.choice(("zstd", "snappy", "gzip", "none"))}
    pq.write_table(rows, sink, use_dictionary=draw.random() < 0.5, version=draw.choice(("1.0", "2.6")), **options)
    return sink.getvalue()


def submission(registry: Registry, folder: Path, packed: bytes) -> Reader:
    """Submissions: archives, their facts, and the files of their stores under the hashes of their new content."""
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}

    def changed(name: str, content: bytes, draw: random.Random) -> tuple[str, bytes]:
        if name.endswith(".json"):
            new = (
                json.dumps(odd_value(json.loads(content), draw)).encode()
                if draw.random() < 0.7
                else damaged(content, draw)
            )
            return name, new
        odd = (
            odd_parquet(content, draw) if name.endswith(".parquet") and draw.random() < 0.5 else damaged(content, draw)
        )
        parts = name.split(".")
        if draw.random() < 0.8:
            parts[-2] = content_hash(odd)
        return ".".join(parts), odd

    def make(draw: random.Random) -> bytes:
        if draw.random() < 0.4:
            return damaged(packed, draw)
        chosen = draw.choice(list(entries))
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name, content in entries.items():
                archive.writestr(*(changed(name, content, draw) if name == chosen else (name, content)))
            if draw.random() < 0.1:
                archive.writestr(draw.choice((*TEXTS[13:20], "store/x", "source/a/b.py", "store/damaged/a")), b"x")
        return target.getvalue()

    number = iter(range(10**9))

    def read(given: bytes) -> object:
        file, place = folder / "given.zip", folder / f"unpacked{next(number)}"
        file.write_bytes(given)
        try:
            return open_submission(file, place)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    return Reader("submission", make, read)


def archive(registry: Registry, folder: Path) -> Reader:
    """Zip archives of strangers."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as made:
        for name in ("submission.json", "store/cells/a.parquet", "source/mine/mine.py"):
            made.writestr(name, name.encode() * 30)
    seed = packed.getvalue()
    number = iter(range(10**9))

    def make(draw: random.Random) -> bytes:
        return damaged(seed, draw) if draw.random() < 0.6 else rezipped(seed, draw, lambda _, c: damaged(c, draw))

    def read(given: bytes) -> object:
        file, place = folder / "given.zip", folder / f"place{next(number)}"
        file.write_bytes(given)
        try:
            unpack(file, place, Bounds(entries=10, bytes=10**6))
            return sorted(each.relative_to(folder) for each in place.rglob("*"))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    return Reader("archive", make, read)
