"""The readers of what strangers write, each with how its input is made: valid files, and mutations of them."""

from __future__ import annotations

import io
import json
import random
import shutil
import struct
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.torch
import torch
from PIL import Image
from torch import nn

from medrobust import BudgetSpec, DataSource, StoreError
from medrobust.api import Registry, Store, parse_grid, read_grid
from medrobust.engine.models.checkpoints import load_checkpoint
from medrobust.results.archive import Bounds, unpack
from medrobust.results.files import content_hash
from medrobust.results.marker import CONTENT, MARKER
from medrobust.results.schema import TABLES
from medrobust.results.submission import open_submission
from medrobust_datasets import ImageFolder, MedMnist
from medrobust_datasets.decoding import Decoder

from .fuzzing import Reader
from .mutations import NUMBERS, ODD, TEXTS, damaged, odd_text, odd_value, rezipped

GRID = """
[define]
small = { name = "textures", size = 8 }
nets = ["tiny-net", { name = "tiny-net", recipe = { epochs = 1, learning_rate = 0.1 } }]
near = "linf:4/255"

[profile.quick.define]
small = { name = "textures", size = 6 }

[[grid]]
dataset = "@small"
model = "@nets"
train_set = ["train", "train[:50%]"]
defense = ["none", "blur"]
attack = ["none", "sign", { name = "steps", steps = [1, 3] }, { name = "all-of", of = ["sign", "hum"] }]
budget = ["@near", "l2:zeta=4%", "linf:0.02@[-1,1] slack=1/255", "l2:min"]
goal = ["untargeted", "target:bright"]
surrogate = [{ model = "tiny-net", dataset = "textures" }]
evaluate_on = ["test", "test[:50%]|10"]
seed = [0, 1]
tags = { row = "a" }
exclude = [{ attack = "none", seed = 1 }]

[[grid]]
dataset = "textures"
model = "tiny-net"
attack = "one-for-all"
budget = "linf:8/255"
precision = "float32"
detector = [{ name = "distance", fit_on = "val" }]
probe = ["examples"]
threads = 1
images = 20
stop = "full"
"""
BUDGETS = (
    *("linf:8/255", "linf:0.02@[-1,1]", "l2:zeta=4%", "l1:10", "l0:20", "l2:min", "unbounded", "l2:2.5e-1@[0,255]"),
    *("linf:0.3 box=none slack=1/255", "linf:1.5@/128 box=[0,1]", "l2:.5/3"),
)
PARTS = (*BUDGETS, *NUMBERS, *("linf:", "l2:", "eps", "/", "@", "e", "*", "=", "%", "slack=", "box=", "zeta=", "1e9"))
TABLE = (
    "file,label,split,group\ntrain/ill/a.png,ill,train,p1\ntrain/well/b.png,well,train,p2\ntest/ill/c.png,ill,test,p3\n"
)
LIST = "file,split\na.png,train\nb.png,test\ntest/ill/c.png,val\n"
SIDE = 28


def grid(registry: Registry, folder: Path) -> Reader:
    """Grids: as files, and as the tables that a program hands in."""
    tree = tomllib.loads(GRID)
    words = GRID.split()

    def make(draw: random.Random) -> bytes | dict[str, Any]:
        kind = draw.randrange(3)
        if kind == 0:
            return damaged(GRID.encode(), draw)
        if kind == 1:
            return odd_text(GRID, draw, words).encode("utf-8", "surrogatepass")
        changed = tree
        for _ in range(draw.choice((1, 1, 2, 4))):
            changed = odd_value(changed, draw)
        return changed if isinstance(changed, dict) else {"grid": changed}

    def read(given: bytes | dict[str, Any]) -> object:
        if isinstance(given, dict):
            return parse_grid(given, registry)
        file = folder / "grid.toml"
        file.write_bytes(given)
        return read_grid(file, registry, profile="quick" if b"quick" in given else "")

    return Reader("grid", make, read)


def budget(registry: Registry, folder: Path) -> Reader:
    """Budgets as texts, and what becomes of them when they are resolved, written and compared."""

    def make(draw: random.Random) -> Any:
        kind = draw.randrange(4)
        if kind == 0:
            return "".join(draw.choice(PARTS) for _ in range(draw.randrange(1, 6)))
        if kind == 1:
            return draw.choice((*ODD, *TEXTS))
        return odd_text(draw.choice(BUDGETS), draw, PARTS)

    def read(given: Any) -> object:
        block = {"dataset": "textures", "model": "tiny-net", "attack": "sign", "budget": given}
        (found,) = parse_grid({"grid": [block]}, registry).blocks
        for choice in found.axes["budget"]:
            spec = choice.value
            assert isinstance(spec, BudgetSpec)
            resolved = spec.resolve(mean_norm=3.0)
            assert resolved.eps is None or resolved.eps >= 0
            assert BudgetSpec.parse(str(spec)).canonical == spec.canonical
        return found

    return Reader("budget", make, read)


def npz(registry: Registry, folder: Path) -> Reader:
    """Arrays of MedMNIST, as bytes, as archives with odd entries, and with odd headers of arrays."""
    rng = np.random.default_rng(0)
    arrays = {
        "train_images": rng.integers(0, 255, (6, SIDE, SIDE), dtype=np.uint8),
        "train_labels": np.eye(6, 1, dtype=int),
    }
    seeds = []
    for save in (np.savez, np.savez_compressed):
        packed = io.BytesIO()
        save(packed, **arrays)  # type: ignore[arg-type]
        seeds.append(packed.getvalue())
    place = folder / "medmnist"
    place.mkdir(exist_ok=True)

    def make(draw: random.Random) -> bytes:
        seed = draw.choice(seeds)
        return (
            damaged(seed, draw, seeds) if draw.random() < 0.5 else rezipped(seed, draw, lambda _, c: odd_npy(c, draw))
        )

    def read(given: bytes) -> object:
        (place / "pneumoniamnist.npz").write_bytes(given)
        source, data = DataSource(folder), MedMnist()
        return data.fingerprint(source), data.load("train", source)

    return Reader("npz", make, read)


def odd_npy(data: bytes, draw: random.Random) -> bytes:
    """An array file whose header is another."""
    if draw.random() < 0.3:
        return damaged(data, draw)
    kinds = (
        "'|u1'",
        "'<i8'",
        "'|O'",
        "'|V1000000000'",
        "'<U99999999'",
        "'<c16'",
        "[('a', '|O')]",
        "'<m8'",
        "'?'",
        "''",
    )
    shapes = (
        "()",
        "(0,)",
        "(-1, 2)",
        "(6, 28, 28)",
        "(10**9,)",
        "(1099511627776, 28, 28)",
        "(9" + "9" * 400 + ",)",
        "None",
    )
    kind, shape = draw.choice((*kinds, *TEXTS[:12])), draw.choice((*shapes, *TEXTS))
    header = f"{{'descr': {kind}, 'fortran_order': {draw.choice(('False', 'True', '3'))}, 'shape': {shape}, }}"
    text = header.encode("latin1", "replace") + b"\n"
    if draw.random() < 0.5:
        return b"\x93NUMPY\x01\x00" + struct.pack("<H", min(len(text), 65535)) + text + data[128:]
    length = draw.choice((len(text), len(text), 2**31, 0))
    return b"\x93NUMPY" + bytes([draw.choice((1, 2, 3, 9))]) + b"\x00" + struct.pack("<I", length) + text + data[128:]


def table(registry: Registry, folder: Path) -> Reader:
    """Tables of labels, splits and patients, and lists of splits, of a folder of images."""
    images = folder / "images"
    for name in ("train/ill/a.png", "train/well/b.png", "test/ill/c.png"):
        (images / name).parent.mkdir(parents=True, exist_ok=True)
        (images / name).touch()
    seeds = (TABLE, LIST)
    words = (
        "train",
        "test",
        "val",
        "a.png",
        "ill",
        "../",
        "/etc/passwd",
        "file",
        "split",
        ",",
        '"',
        "\r",
        "\n",
        "\x00",
    )

    def make(draw: random.Random) -> tuple[int, bytes]:
        number = draw.randrange(3)
        seed = seeds[min(number, 1)]
        if draw.random() < 0.5:
            return number, damaged(seed.encode(), draw, [s.encode() for s in seeds])
        return number, odd_text(seed, draw, words).encode("utf-8", "surrogatepass")

    def read(given: tuple[int, bytes]) -> object:
        number, content = given
        for file in ("labels.csv", "split_train.csv", "split_test.csv"):
            (folder / file).write_bytes(content)
        more: dict[str, Any] = ({"csv": "labels.csv"}, {"splits": "labels.csv"}, {"splits": "split_{split}.csv"})[
            number
        ]
        found = ImageFolder(path="images", **more).complete(DataSource(folder))
        assert all(sample.file.resolve().is_relative_to(images.resolve()) for sample in found.samples)
        return found

    return Reader("table", make, read)


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


def network() -> nn.Module:
    """What weights are read for."""
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 2))


def tensors(registry: Registry, folder: Path) -> Reader:
    """Weights in safetensors: as a checkpoint and in a store."""
    module = network()
    seed = safetensors.torch.save(module.state_dict())
    length = struct.unpack("<Q", seed[:8])[0]
    header, content = json.loads(seed[8 : 8 + length]), seed[8 + length :]
    kinds = ("F64", "F32", "F16", "BF16", "I64", "U64", "BOOL", "F8_E4M3", "F8_E8M0", "F4", "C64", "X", 3)
    (folder / "store").mkdir()
    (folder / "store" / MARKER).write_text(CONTENT)

    def make(draw: random.Random) -> bytes:
        if draw.random() < 0.4:
            return damaged(seed, draw)
        table = {name: dict(about) for name, about in header.items()}
        name = draw.choice(list(table))
        kind = draw.randrange(6)
        if kind == 0:
            table[name]["dtype"] = draw.choice(kinds)
        elif kind == 1:
            table[name]["shape"] = draw.choice(
                ([], [0], [-1], [2**40, 2**40], [2, 2**63], ["a"], None, [1.5], [1] * 100)
            )
        elif kind == 2:
            numbers = (0, 4, 8, -1, len(content), len(content) + 1, 2**63, 2**64, 1.5)
            table[name]["data_offsets"] = [draw.choice(numbers), draw.choice(numbers)]
        else:
            table = odd_value(table, draw)
        text = json.dumps(table).encode("utf-8", "replace")
        if kind == 4:
            text = text[:-1] + b"," + text[1:]
        if kind == 5 and draw.random() < 0.3:
            text = draw.choice((b"[" * 100_000, b'{"a":' * 10_000, b"{}", b'{"__metadata__": {"a": 1}}'))
        text += b" " * (-len(text) % 8)
        said = draw.choice((len(text),) * 6 + (2**63, 2**40, 0, len(text) + 8))
        return struct.pack("<Q", said) + text + content

    def read(given: bytes) -> object:
        file = folder / "weights.safetensors"
        file.write_bytes(given)
        key = content_hash(given)
        kept = folder / "store" / "tensors" / f"{key}.safetensors"
        kept.parent.mkdir(exist_ok=True)
        kept.write_bytes(given)
        try:
            loaded = Store(folder / "store").load_tensors(key)
        finally:
            kept.unlink(missing_ok=True)
            shutil.rmtree(folder / "store" / "damaged", ignore_errors=True)
        load_checkpoint(network(), file)
        return loaded

    return Reader("safetensors", make, read)


def checkpoint(registry: Registry, folder: Path) -> Reader:
    """Weights as torch writes them, in the old format and the new, with tensors and entries of any kind."""
    state = network().state_dict()
    kinds: tuple[Callable[[Any], Any], ...] = (
        lambda t: t.to(torch.complex64),
        lambda t: t.to(torch.float64).to_sparse(),
        lambda t: t.to("meta"),
        lambda t: t.float() * float("nan"),
        lambda t: t.flatten(),
        lambda t: t.to(torch.int64),
        lambda t: nn.Parameter(t.float()),
        lambda t: torch.zeros(1).expand(1000, 1000),
        lambda t: [t],
        lambda t: "text",
        lambda t: {"a": t},
    )

    def whole(content: object, draw: random.Random) -> bytes:
        packed = io.BytesIO()
        new = draw.random() < 0.6
        torch.save(content, packed, _use_new_zipfile_serialization=new, pickle_protocol=draw.choice((2, 3, 4)))
        return packed.getvalue()

    seeds = [whole(content, random.Random(n)) for n in range(8) for content in (dict(state), {"state_dict": state})]

    def make(draw: random.Random) -> bytes:
        entries: dict[Any, Any] = dict(state)
        for _ in range(draw.choice((0, 1, 1, 2))):
            name = draw.choice(list(entries))
            if draw.random() < 0.3:
                entries[draw.choice((*TEXTS[:20], 3, ("a", 1), "module." + str(name)))] = entries.pop(name)
            else:
                entries[name] = draw.choice(kinds)(state[draw.choice(list(state))])
        content = draw.choice(
            (entries, entries, {"state_dict": entries, "epoch": 3}, {"a": entries, "b": entries}, [entries])
        )
        if draw.random() < 0.7:
            data = draw.choice(seeds)
        else:
            data = whole(content, draw)
            if draw.random() < 0.5:
                return data
        if zipfile.is_zipfile(io.BytesIO(data)) and draw.random() < 0.5:
            return rezipped(data, draw, lambda _, c: damaged(c, draw))
        return damaged(data, draw)

    def read(given: bytes) -> object:
        file = folder / "weights.pt"
        file.write_bytes(given)
        return load_checkpoint(network(), file)

    return Reader("checkpoint", make, read)


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


def image(registry: Registry, folder: Path) -> Reader:
    """Images of every format that is read."""
    pixels = np.random.default_rng(0).integers(0, 255, (24, 20, 3), dtype=np.uint8)
    seeds = []
    for kind, mode in (
        ("PNG", "RGB"),
        ("PNG", "P"),
        ("JPEG", "RGB"),
        ("TIFF", "RGB"),
        ("TIFF", "L"),
        ("BMP", "RGB"),
        ("GIF", "P"),
        ("WEBP", "RGB"),
        ("PPM", "L"),
        ("PNG", "LA"),
    ):
        made = io.BytesIO()
        Image.fromarray(pixels).convert(mode).save(made, kind)
        seeds.append(made.getvalue())

    def make(draw: random.Random) -> bytes:
        return damaged(draw.choice(seeds), draw, seeds)

    def read(given: bytes) -> object:
        file = folder / "image.png"
        file.write_bytes(given)
        return Decoder(16, draw_channels(given))(file)

    return Reader("image", make, read)


def draw_channels(data: bytes) -> int:
    return 3 if len(data) % 2 else 1


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
