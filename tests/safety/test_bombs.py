"""What is small and unpacks to much is refused before it takes memory, in a process that has little."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from struct import pack

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.torch
import torch

from medrobust import DataError, GridError
from medrobust.api import Registry, parse_grid
from medrobust.engine import unpacking
from medrobust.results.files import content_hash
from medrobust.results.marker import CONTENT, MARKER

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits memory as Linux does")

MEMORY = 800 * 2**20
"""Bytes that reading may take beyond what the process has when all is imported."""
READ = """
import resource, sys
from pathlib import Path
from medrobust import DataSource, MedrobustError
from medrobust.api import Store
from medrobust.engine.models.checkpoints import load_checkpoint
from medrobust_datasets import MedMnist
from medrobust_datasets.decoding import Decoder
from torch import nn

def store(path):
    found = Store(path)
    found.tables.read("parts")
    if found.damaged:
        raise MedrobustError(found.damaged[0].why)

readers = {
    "image": lambda path: Decoder(16, 3)(path),
    "npz": lambda path: MedMnist().load("train", DataSource(path)),
    "checkpoint": lambda path: load_checkpoint(nn.Linear(2, 2), path),
    "store": store,
}
pages = int(Path("/proc/self/statm").read_text().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + int(sys.argv[1]), resource.RLIM_INFINITY))
for line in sys.stdin:
    kind, path = line.strip().split(" ", 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    try:
        readers[kind](Path(path))
        told = "READ"
    except MedrobustError as error:
        told = f"REFUSED {' '.join(str(error).split())}"
    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, told, flush=True)
"""

Read = Callable[[str, Path], tuple[str, int]]


@pytest.fixture(scope="module")
def read() -> Iterator[Read]:
    """Read a file in a process of its own with little memory; what it says, and the MiB that it took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", READ, str(MEMORY)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True, env=environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        asked, answers, errors = process.stdin, process.stdout, process.stderr

        def ask(kind: str, path: Path) -> tuple[str, int]:
            asked.write(f"{kind} {path}\n")
            asked.flush()
            answer = answers.readline()
            assert answer, errors.read()[-1500:]
            took, _, told = answer.strip().partition(" ")
            return told, int(took)

        yield ask
        asked.close()


# Images ---------------------------------------------------------------------------------------------------------------


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return pack(">I", len(content)) + kind + content + pack(">I", zlib.crc32(kind + content))

    lines = zlib.compress(bytes(1000), 9)
    head = pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", lines) + chunk(b"IEND", b"")


def tiff(width: int, height: int) -> bytes:
    fields = [(256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, 1), (262, 3, 1), (273, 4, 8), (277, 3, 1)]
    fields += [(278, 4, height), (279, 4, 8)]
    entries = b"".join(pack("<HHII", tag, kind, 1, value) for tag, kind, value in fields)
    return b"II*\0" + pack("<I", 16) + bytes(8) + pack("<H", len(fields)) + entries + bytes(4)


def jpeg(width: int, height: int) -> bytes:
    from PIL import Image

    made = io.BytesIO()
    Image.new("RGB", (16, 16)).save(made, "JPEG")
    data = bytearray(made.getvalue())
    at = data.index(b"\xff\xc0")
    data[at + 5 : at + 9] = pack(">HH", height, width)
    return bytes(data)


@pytest.mark.long
@pytest.mark.parametrize("kind", [png, tiff, jpeg])
@pytest.mark.parametrize("side", [9_200, 60_000])
def test_a_giant_image_is_refused(read: Read, kind: Callable[[int, int], bytes], side: int, tmp_path: Path) -> None:
    file = tmp_path / f"image.{kind.__name__}"
    file.write_bytes(kind(side, side))
    assert file.stat().st_size < 2000
    told, took = read("image", file)
    assert told.startswith(f"REFUSED cannot read the image {file}: ")
    assert "pixels" in told
    assert took < 50


def test_an_image_of_a_kind_that_runs_a_program_is_none(tmp_path: Path) -> None:
    """Pillow would hand PostScript to Ghostscript, whatever the file is called."""
    from medrobust_datasets.decoding import Decoder

    file = tmp_path / "image.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n")
    with pytest.raises(DataError, match="cannot identify image file"):
        Decoder(8, 1)(file)


# Arrays and weights ---------------------------------------------------------------------------------------------------


def header(shape: str, kind: str = "|u1") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + pack("<H", len(text)) + text


@pytest.mark.long
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (header("(4000000000,)"), "declares more values than it has"),
        (header("(1,)", "|V2000000000"), "declares more values than it has"),
        (header("(9000000000000, 28, 28)"), "declares more values than it has"),
        (header("(-5, 28, 28)"), "declares more values than it has"),
        (header("(2000, 1000, 1000)") + bytes(6 * 10**7), "would unpack to 120 MB, more than images do"),
    ],
)
def test_an_array_larger_than_its_file_is_refused(read: Read, content: bytes, told: str, tmp_path: Path) -> None:
    file = tmp_path / "medmnist" / "pneumoniamnist.npz"
    file.parent.mkdir()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name in ("train_images.npy", "train_labels.npy"):
            archive.writestr(name, content)
    said, took = read("npz", tmp_path)
    assert said.startswith("REFUSED")
    assert told in said
    assert took < 50


def test_a_checkpoint_that_is_compressed_is_refused(read: Read, tmp_path: Path) -> None:
    torch.save({"weight": torch.zeros(20_000_000)}, tmp_path / "plain.pt")
    with zipfile.ZipFile(tmp_path / "plain.pt") as plain, zipfile.ZipFile(tmp_path / "bomb.pt", "w", 8) as bomb:
        for name in plain.namelist():
            bomb.writestr(name, plain.read(name))
    told, took = read("checkpoint", tmp_path / "bomb.pt")
    assert "has 0.1 MB and would unpack to 80.0 MB, which torch.save never writes; it was not opened" in told
    assert took < 50


@pytest.mark.parametrize(
    "about",
    [
        {"weight": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
        {"weight": {"dtype": "F32", "shape": [-1], "data_offsets": [0, -4]}},
        {
            "a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
            "b": {"dtype": "F32", "shape": [2], "data_offsets": [4, 12]},
        },
        {"weight": {"dtype": "F32", "shape": [2**63, 2**63], "data_offsets": [0, 8]}},
    ],
)
def test_weights_whose_header_lies_are_refused(read: Read, about: object, tmp_path: Path) -> None:
    text = json.dumps(about).encode()
    (tmp_path / "w.safetensors").write_bytes(pack("<Q", len(text)) + text + bytes(16))
    told, took = read("checkpoint", tmp_path / "w.safetensors")
    assert told.startswith(f"REFUSED checkpoint {tmp_path}/w.safetensors: cannot be read (Error while deserializing")
    assert took < 50


def test_a_header_that_is_said_to_be_endless_is_refused(read: Read, tmp_path: Path) -> None:
    good = safetensors.torch.save({"weight": torch.zeros(2)})
    for length in (2**40, 2**63, 2**64 - 1):
        (tmp_path / "w.safetensors").write_bytes(pack("<Q", length) + good[8:])
        assert "cannot be read (Error while deserializing" in read("checkpoint", tmp_path / "w.safetensors")[0]


# Tables ---------------------------------------------------------------------------------------------------------------


def one_long_text() -> bytes:
    """A text of 10 MB that stands in each of 300 rows, as one entry of a dictionary."""
    sink = io.BytesIO()
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 300, pa.int32()), pa.array(["a" * 10_000_000]))
    pq.write_table(pa.table({"part": texts}), sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def many_empty_rows() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"part": pa.nulls(60_000_000, pa.string())}), sink)
    return sink.getvalue()


@pytest.mark.parametrize(
    ("make", "told"),
    [(one_long_text, "its 300 rows take up to 3.0 GB"), (many_empty_rows, "its 60000000 rows take up to")],
)
def test_an_endless_table_is_set_aside(read: Read, make: Callable[[], bytes], told: str, tmp_path: Path) -> None:
    data = make()
    place = tmp_path / "parts" / f"a.{content_hash(data)}.parquet"
    place.parent.mkdir()
    place.write_bytes(data)
    (tmp_path / MARKER).write_text(CONTENT)
    said, took = read("store", tmp_path)
    assert said.startswith(f"REFUSED {told}")
    assert took < 300
    assert len(data) < 200_000


def test_a_table_that_a_run_writes_is_read(read: Read, tmp_path: Path) -> None:
    """The bound of memory is no bound of what is sound: the same reader in the same little memory."""
    (tmp_path / "medmnist").mkdir()
    arrays = {"train_images": np.zeros((3, 28, 28), np.uint8), "train_labels": np.zeros((3, 1), int)}
    np.savez_compressed(tmp_path / "medmnist" / "pneumoniamnist.npz", **arrays)
    assert read("npz", tmp_path)[0] == "READ"


# Archives -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packing", ["zip", "tar", "gz"])
def test_a_download_that_unpacks_without_end_is_refused(
    packing: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unpacking, "SMALLEST", 10**6)
    archive, much = tmp_path / "archive", bytes(20_000_000)
    if packing == "gz":
        archive.write_bytes(gzip.compress(much))
    elif packing == "zip":
        with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr("a", much)
    else:
        with tarfile.open(archive, "w:gz") as made_tar:
            about = tarfile.TarInfo("a")
            about.size = len(much)
            made_tar.addfile(about, io.BytesIO(much))
    with pytest.raises(
        DataError, match=r"is not unpacked: it unpacks to more than 0\.0 GB, 100 times its size or more"
    ):
        unpacking.unpack(archive, packing, tmp_path / "place")  # type: ignore[arg-type]
    left = sum(each.stat().st_size for each in (tmp_path / "place").rglob("*")) if (tmp_path / "place").is_dir() else 0
    assert left < 10**7


# Grids ----------------------------------------------------------------------------------------------------------------


def laughs(depth: int) -> dict[str, object]:
    """Ten names of ten names of ten names."""
    define: dict[str, object] = {f"n{i}": [f"@n{i + 1}"] * 10 for i in range(depth)}
    return {**define, f"n{depth}": ["sign"]}


def block(**more: object) -> dict[str, object]:
    return {"grid": [{"dataset": "textures", "model": "tiny-net", "budget": "linf:8/255", **more}]}


@pytest.mark.parametrize(
    ("grid", "told"),
    [
        ({"define": laughs(9), **block(attack="@n0")}, "with the definitions, the grid has more than 20000 values"),
        (
            block(attack={"name": "steps", "steps": list(range(400)), "step": ["1/255"] * 400}),
            r"1\.6e\+05 combinations",
        ),
        (
            block(attack="sign", seed=list(range(2000)), train_set=["train"] * 2000),
            r"4e\+06 combinations; at most",
        ),
        (block(attack="sign", budget="linf:1e999999999"), "is no number of at most 40 characters"),
        (block(attack="sign", train_set="train[:1e999999999%]"), "is neither a share"),
    ],
)
def test_a_grid_that_stands_for_more_than_anybody_computes_is_refused(
    grid: dict[str, object], told: str, core: Registry
) -> None:
    with pytest.raises(GridError, match=told):
        parse_grid(grid, core)
