"""eyepacs: grades, referable or not, two eyes a patient."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.eyepacs import EyePacs

Write = Callable[..., Path]


def publish(write: Write, root: Path, *, train: int = 40, test: int = 10) -> None:
    """Kaggle's layout: grades of training and test images in two tables."""
    tables = {
        "trainLabels.csv": ("train", "image,level", range(train)),
        "retinopathy_solution.csv": ("test", "image,level,Usage", range(train, train + test)),
    }
    for table, (folder, header, patients) in tables.items():
        rows = [header]
        for patient in patients:
            for eye in ("left", "right"):
                write(f"eyepacs/{folder}/{patient}_{eye}.jpeg", mode="RGB")
                rows.append(f"{patient}_{eye},{patient % 5}" + (",Private" if folder == "test" else ""))
        (root / "eyepacs" / table).write_text("\n".join(rows))


def test_both_eyes_on_one_side_and_referable_from_grade_2(write: Write, source: DataSource, tmp_path: Path) -> None:
    publish(write, tmp_path)
    data, graded = EyePacs(size=8), EyePacs(size=8, task="5-grade")
    assert data.describe(source).classes == ("not referable", "referable")
    assert data.describe(source).grouped
    parts = [data.load(split, source) for split in SPLITS]
    assert sum(map(len, parts)) == 100
    assert 8 <= len(parts[2]) <= 16
    patients = [set(part.groups.tolist()) for part in parts if part.groups is not None]
    assert sum(map(len, patients)) == len(set.union(*patients)) == 50
    grades = graded.complete(source).samples
    assert {sample.label for sample in grades} == {0, 1, 2, 3, 4}
    assert [int(sample.label >= 2) for sample in grades] == [s.label for s in data.complete(source).samples]  # type: ignore[operator]


def test_training_table_alone_is_enough(write: Write, source: DataSource, tmp_path: Path) -> None:
    publish(write, tmp_path, test=0)
    (tmp_path / "eyepacs/retinopathy_solution.csv").unlink()
    assert len(EyePacs().complete(source).samples) == 80


def test_field_of_view_fills_the_image(source: DataSource, tmp_path: Path) -> None:
    rows, columns = np.ogrid[:60, :100]
    disc = np.where((rows - 30) ** 2 + (columns - 50) ** 2 <= 20**2, 200, 0).astype(np.uint8)
    folder = tmp_path / "eyepacs/train"
    folder.mkdir(parents=True)
    Image.fromarray(np.stack([disc] * 3, axis=-1)).save(folder / "1_left.png")
    (tmp_path / "eyepacs/trainLabels.csv").write_text("image,level\n1_left,0\n")
    cut, whole = (
        EyePacs(size=40, test=0, val=0, field_crop=on).load("train", source).images[0] for on in (True, False)
    )
    assert (cut[..., 1] > 100).mean() == pytest.approx(np.pi * 20**2 / 41**2, abs=0.02)
    assert (whole[..., 1] > 100).mean() == pytest.approx(np.pi * 20**2 / 6000, abs=0.02)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0_left,7", "unknown level '7'; valid: 0, 1, 2, 3, 4"),
        ("99_left,1", "lists 1 of 1 images .*'99_left'"),
        ("0_left,1\n0_left,2", "'0_left' more than once"),
    ],
)
def test_wrong_table(write: Write, source: DataSource, tmp_path: Path, rows: str, message: str) -> None:
    write("eyepacs/train/0_left.jpeg")
    (tmp_path / "eyepacs/trainLabels.csv").write_text(f"image,level\n{rows}\n")
    with pytest.raises(DataError, match=message):
        EyePacs().describe(source)


def test_wrong_name_and_missing(write: Write, source: DataSource, tmp_path: Path) -> None:
    with pytest.raises(DataUnavailable, match=r"trainLabels\.csv"):
        EyePacs().describe(source)
    write("eyepacs/train/scan.jpeg")
    (tmp_path / "eyepacs/trainLabels.csv").write_text("image,level\nscan,0\n")
    with pytest.raises(DataError, match="'scan' is not PATIENT_left or PATIENT_right"):
        EyePacs().describe(source)
