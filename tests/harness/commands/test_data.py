"""`medrobust data`: what there is, fetching it, and checking what lies there."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("pooch")

PLUGIN = '''
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from PIL import Image

from medrobust import DataError, DataInfo, Dataset, DataSource, ImageData, OnDemand, Origin, RemoteFile


@dataclass(frozen=True)
class Clinic(Dataset):
    """Photographs of a clinic."""

    name: ClassVar[str] = "clinic"
    licence: ClassVar[str] = "CC0"
    origin: ClassVar[Origin] = Origin(
        page="https://clinic.example/data",
        size="6 images, 2 kB",
        layout=("clinic/{sick,well}/*.png", "lists/clinic.csv"),
        files=(
            RemoteFile("URL/images.zip", "clinic", packing="zip"),
            RemoteFile("URL/list.csv", "lists/clinic.csv", "CHECKSUM"),
        ),
    )
    size: int = 8

    def describe(self, source: DataSource) -> DataInfo:
        source.find("clinic", what="the clinic's images")
        return DataInfo(("sick", "well"), (self.size, self.size), 1, splits=("test",))

    def load(self, split: str, source: DataSource) -> ImageData:
        files = sorted(source.find("clinic", what="the clinic's images").rglob("*.png"))
        labels = np.array([int(file.parent.name == "well") for file in files])

        def decode(number: int) -> np.ndarray:
            try:
                return np.array(Image.open(files[number]).convert("L").resize((self.size, self.size)))[..., None]
            except OSError as error:
                raise DataError(f"{files[number]} cannot be read: {error}") from None

        pixels = OnDemand(decode, (len(files), self.size, self.size, 1))
        return ImageData(pixels, labels, np.array([file.name for file in files]))
'''
LIST = b"file,label\n0.png,sick\n"


@pytest.fixture
def clinic(server: Any, tmp_path: Path) -> Path:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number in range(6):
            picture = io.BytesIO()
            Image.fromarray(np.full((10, 10), 40 * number, np.uint8)).save(picture, "png")
            archive.writestr(f"{('sick', 'well')[number % 2]}/{number}.png", picture.getvalue())
    server.url("images.zip", buffer.getvalue())
    server.url("list.csv", LIST)
    file = tmp_path / "clinic.py"
    checksum = f"sha256:{hashlib.sha256(LIST).hexdigest()}"
    file.write_text(PLUGIN.replace("URL", server.address).replace("CHECKSUM", checksum))
    (tmp_path / "data").mkdir()
    return file


def test_from_nothing_by_the_advice_that_is_printed(program: Any, clinic: Path, tmp_path: Path) -> None:
    root = ("--data-root", "data")
    absent = program("data", "check", "clinic", *root, plugins=(clinic,))
    assert absent.status == 1
    assert "the clinic's images is neither at" in absent.err
    assert "6 images, 2 kB; terms: CC0; page: https://clinic.example/data" in absent.out
    assert "clinic/{sick,well}/*.png" in absent.out
    assert "Next: medrobust data get clinic" in absent.out
    fetched = program("data", "get", "clinic", *root, plugins=(clinic,))
    assert fetched.status == 0, fetched.err
    assert "no checksum is published: this one is recorded and compared from now on" in fetched.out
    assert (tmp_path / "data/lists/clinic.csv").read_bytes() == LIST
    assert "Next: medrobust data check clinic" in fetched.out
    there = program("data", "check", "clinic", *root, plugins=(clinic,))
    assert there.status == 0, there.err
    assert "clinic: 2 classes, 8x8 pixels, 1 channels" in there.out
    assert "sick 3, well 3" in there.out
    assert "6 images were decoded without a fault" in there.out
    assert f"{tmp_path}/data/lists/clinic.csv: sha256 as published" in there.out
    again = program("data", "get", "clinic", *root, plugins=(clinic,))
    assert again.out.count("there already") == 2


def test_an_image_that_cannot_be_read_and_a_list_that_was_changed_are_found(
    program: Any, clinic: Path, tmp_path: Path
) -> None:
    root = ("--data-root", "data")
    program("data", "get", "clinic", *root, plugins=(clinic,))
    (tmp_path / "data/lists/clinic.csv").write_text("mine")
    changed = program("data", "check", "clinic", *root, plugins=(clinic,))
    assert "lists/clinic.csv: is not the published file" in changed.err
    assert changed.status == 1
    # The advice: fetch that again.
    program("data", "get", "clinic", "--only", "lists/*", "--again", *root, plugins=(clinic,))
    assert program("data", "check", "clinic", *root, plugins=(clinic,)).status == 0
    (tmp_path / "data/clinic/sick/4.png").write_bytes(b"")
    broken = program("data", "check", "clinic", *root, plugins=(clinic,))
    assert broken.status == 1
    assert "4.png cannot be read" in broken.err


def test_what_would_be_fetched_is_listed(program: Any, clinic: Path, server: Any, tmp_path: Path) -> None:
    listed = program("data", "get", "clinic", "--dry-run", "--data-root", "data", plugins=(clinic,))
    assert f"{server.address}/images.zip -> {tmp_path}/data/clinic (no checksum is known)" in listed.out
    assert server.asked == []
    some = program("data", "get", "clinic", "--only", "lists/*", "--data-root", "data", plugins=(clinic,))
    assert some.status == 0
    assert not (tmp_path / "data/clinic").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("get", "clinc"), "did you mean 'clinic'?"),
        (("get", "clinic"), "no data root is set: give --data-root DIR"),
        (("get", "textures"), "textures is made or filled by you, so there is nothing to fetch"),
        (("get", "clinic", "--only", "nothing"), "no file of clinic matches --only 'nothing'; there are clinic, lists"),
        (("check", "clinic", "sise=3"), "has no parameter 'sise'; did you mean 'size'?"),
        (("check", "clinic", "size"), "'size' is no field of a data set; write FIELD=VALUE"),
    ],
)
def test_mistakes_are_named(program: Any, clinic: Path, tiny: Path, arguments: tuple[str, ...], message: str) -> None:
    ended = program("data", *arguments, plugins=(clinic, tiny))
    assert ended.status == 1
    assert message in ended.err.replace("\n", " ")


def test_every_data_set_is_listed_with_its_terms(program: Any, clinic: Path) -> None:
    listed = program("data", "list", plugins=(clinic,))
    assert listed.status == 0
    for text in ("clinic", "CC0", "6 images", "data get"):
        assert text in listed.out


def test_the_record_of_downloads_is_json(program: Any, clinic: Path, server: Any, tmp_path: Path) -> None:
    program("data", "get", "clinic", "--data-root", "data", plugins=(clinic,))
    record = json.loads((tmp_path / "data/.downloads/fetched.json").read_text())
    assert set(record) == {f"{server.address}/images.zip", f"{server.address}/list.csv"}
