"""isic2018: the challenge's one-hot ground truth, lesions as groups, the list of hirano2021."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.isic2018 import DIAGNOSES, Isic2018

Write = Callable[..., Path]
TRUTH = "isic2018/ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv"
HEADER = "image," + ",".join(DIAGNOSES)


def row(name: str, diagnosis: int) -> str:
    return ",".join([name, *(f"{float(index == diagnosis)}" for index in range(7))])


@pytest.fixture
def publish(write: Write, tmp_path: Path) -> Callable[..., None]:
    """Seven diagnoses, ten lesions each, two images a lesion, as the challenge lays them out."""

    def publish(*, rows: list[str] | None = None) -> None:
        names = [f"ISIC_{index:07d}" for index in range(140)]
        for name in names:
            write(f"isic2018/ISIC2018_Task3_Training_Input/{name}.jpg", size=(20, 15), mode="RGB")
        truth = tmp_path / TRUTH
        truth.parent.mkdir()
        own = [row(name, index // 2 % 7) for index, name in enumerate(names)]
        truth.write_text("\n".join([HEADER, *(own if rows is None else rows)]))
        lesions = [f"{name},HAM_{index // 2:07d},histopathology" for index, name in enumerate(names)]
        groupings = truth.with_name("ISIC2018_Task3_Training_LesionGroupings.csv")
        groupings.write_text("\n".join(["image,lesion_id,diagnosis_confirm_type", *lesions]))

    return publish


def test_seven_classes_split_by_lesion(publish: Callable[..., None], source: DataSource) -> None:
    publish()
    data = Isic2018(size=16)
    info = data.describe(source)
    assert (info.classes, info.splits, info.grouped, info.channels) == (DIAGNOSES, SPLITS, True, 3)
    parts = [data.load(split, source) for split in SPLITS]
    assert [len(part) for part in parts] == [98, 14, 28]
    assert parts[2].labels is not None
    assert np.bincount(parts[2].labels).tolist() == [4] * 7
    lesions = [set(part.groups.tolist()) for part in parts if part.groups is not None]
    assert sum(map(len, lesions)) == len(set.union(*lesions)) == 70


def test_malignant_is_mel_bcc_akiec(publish: Callable[..., None], source: DataSource) -> None:
    publish()
    seven, binary = (Isic2018(task=task).complete(source).samples for task in ("7-class", "malignant"))
    assert Isic2018(task="malignant").describe(source).classes == ("benign", "malignant")
    malignant = {sample.id: int(sample.label in (0, 2, 3)) for sample in seven}
    assert {sample.id: sample.label for sample in binary} == malignant


def test_lists_of_hirano2021(publish: Callable[..., None], source: DataSource, tmp_path: Path) -> None:
    publish()
    (tmp_path / "melanoma_train.csv").write_text("ISIC_0000005.jpg,BCC\nISIC_0000000.jpg,MEL\n")
    (tmp_path / "melanoma_test.csv").write_text("ISIC_0000001.jpg,MEL\n")
    data = Isic2018(size=8, splits="melanoma_{split}.csv", val=0)
    assert data.describe(source).splits == ("train", "test")
    assert data.load("train", source).ids.tolist() == ["ISIC_0000000", "ISIC_0000005"]
    assert data.fingerprint(source) != Isic2018(size=8).fingerprint(source)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([row("ISIC_0000000", 9)], r"row 2: ISIC_0000000 must have exactly one 1\.0"),
        ([row("ISIC_0000000", 1), row("ISIC_0000000", 2)], "names 'ISIC_0000000' more than once"),
        ([row("ISIC_9999999", 1)], r"lists 1 of 1 images .*'ISIC_9999999'"),
        (["ISIC_0000000,x,0,0,0,0,0,0"], r"row 2: .*'x'.*expected 0\.0 or 1\.0"),
    ],
)
def test_wrong_ground_truth(publish: Callable[..., None], source: DataSource, rows: list[str], message: str) -> None:
    publish(rows=rows)
    with pytest.raises(DataError, match=message):
        Isic2018().describe(source)


def test_missing_files(write: Write, source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match="ISIC 2018 task 3"):
        Isic2018().describe(source)
    write("isic2018/ISIC2018_Task3_Training_Input/ISIC_0000000.jpg")
    with pytest.raises(DataUnavailable, match=r"GroundTruth\.csv is missing: unpack"):
        Isic2018().describe(source)


@pytest.mark.long
@pytest.mark.data
def test_real_images_and_lists(real: DataSource) -> None:
    whole = Isic2018().complete(real)
    assert len(whole.samples) == 10015
    assert len({sample.group for sample in whole.samples}) == 7470
    of: dict[str | None, set[str | None]] = {}
    for sample in whole.samples:
        of.setdefault(sample.group, set()).add(sample.split)
    assert all(len(splits) == 1 for splits in of.values())
    listed = Isic2018(splits="splits/hirano2021/melanoma_{split}.csv", val=0).complete(real)
    counts = {
        split: np.bincount([s.label for s in listed.samples if s.split == split]).tolist()  # type: ignore[misc]
        for split in ("train", "test")
    }
    # Images of each class as hirano2021 counts them.
    assert counts == {"train": [778, 4689, 370, 229, 764, 76, 94], "test": [335, 2016, 144, 98, 335, 39, 48]}


@pytest.mark.long
def test_the_mean_norm_of_the_training_images_is_near_that_of_the_paper(real: DataSource) -> None:
    """hirano2021 gives a mean l2 norm of 85,662 grey levels at 299 pixels; norms grow as the side of the image."""
    data = Isic2018(size=64, splits="splits/hirano2021/melanoma_{split}.csv", val=0).load("train", real)
    mean = np.mean([np.linalg.norm(image.astype(np.float64)) for image in data.images[::5]])
    assert mean * 299 / 64 == pytest.approx(85_662, rel=0.05)
