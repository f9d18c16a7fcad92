"""kermany-cxr and kermany-oct: names of both releases, persons as groups."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from medrobust import SPLITS, DataError, DataSource, DataUnavailable
from medrobust_datasets.kermany import KermanyOct, KermanyXray, parse_name
from medrobust_datasets.samples import Sample
from medrobust_datasets.tables import apply_split_lists

Write = Callable[..., Path]
XRAY = "kermany-cxr/chest_xray"


@pytest.mark.parametrize(
    ("name", "patient", "kind"),
    [
        ("person12_bacteria_46.jpeg", "person12", "BACTERIA"),
        ("person447_virus_921_1.jpeg", "person447", "VIRUS"),
        ("IM-0115-0001.jpeg", "IM-0115", "NORMAL"),
        ("NORMAL2-IM-0656-0001-0002.jpeg", "NORMAL2-IM-0656", "NORMAL"),
        ("BACTERIA-864208-0001.jpeg", "864208", "BACTERIA"),
        ("VIRUS-9342284-0001.jpeg", "9342284", "VIRUS"),
        ("NORMAL-1557045-0001.jpeg", "1557045", "NORMAL"),
        ("DRUSEN-7064008-10.jpeg", "7064008", "DRUSEN"),
    ],
)
def test_names_of_both_releases(name: str, patient: str, kind: str) -> None:
    assert parse_name(Path(name)) == (patient, kind)


def test_second_release(write: Write, source: DataSource) -> None:
    for person in range(20):
        write(f"{XRAY}/train/NORMAL/IM-{person:04d}-0001.jpeg")
        for view in range(2):
            write(f"{XRAY}/train/PNEUMONIA/person{person}_bacteria_{view}.jpeg")
    write(f"{XRAY}/val/NORMAL/NORMAL2-IM-1427-0001.jpeg")
    write(f"{XRAY}/test/NORMAL/IM-0900-0001.jpeg")
    write(f"{XRAY}/test/PNEUMONIA/person900_virus_1.jpeg")
    two, three = KermanyXray(size=8), KermanyXray(size=8, classes=3)
    assert (two.describe(source).classes, two.describe(source).channels) == (("NORMAL", "PNEUMONIA"), 1)
    assert three.describe(source).classes == ("NORMAL", "BACTERIA", "VIRUS")
    parts = [two.load(split, source) for split in SPLITS]
    # The publisher's val image is among the training images; val is held out by person.
    assert [len(part) for part in parts] == [55, 6, 2]
    train, val = (set(part.groups.tolist()) for part in parts[:2] if part.groups is not None)
    assert not train & val
    assert np.concatenate([parts[0].ids, parts[1].ids]).tolist().count("val/NORMAL/NORMAL2-IM-1427-0001.jpeg") == 1
    assert (parts[2].labels, three.load("test", source).labels) == (pytest.approx([0, 1]), pytest.approx([0, 2]))


def test_third_release_with_its_list(write: Write, source: DataSource, tmp_path: Path) -> None:
    listed = {
        "train": ["train/PNEUMONIA/BACTERIA-864208-0001.jpeg", "train/NORMAL/NORMAL-1557045-0001.jpeg"],
        "test": ["test/PNEUMONIA/VIRUS-9342284-0001.jpeg", "train/NORMAL/NORMAL-7696091-0002.jpeg"],
    }
    for split, names in listed.items():
        for name in names:
            write(f"{XRAY}/{name}")
        text = "".join(f"{name},{name.split('/')[1]}\n" for name in names)
        (tmp_path / f"chestx_{split}.csv").write_text(text)
    write(f"{XRAY}/train/NORMAL/NORMAL-1-0001.jpeg")
    data = KermanyXray(size=8, splits="chestx_{split}.csv", val=0)
    assert {split: data.load(split, source).ids.tolist() for split in listed} == {
        split: sorted(names) for split, names in listed.items()
    }


def test_oct(write: Write, source: DataSource) -> None:
    for split in ("train", "test"):
        for label in ("CNV", "DME", "DRUSEN", "NORMAL"):
            write(f"kermany-oct/OCT2017/{split}/{label}/{label}-{len(label)}72472-1.jpeg")
    data = KermanyOct(size=8)
    assert data.describe(source).classes == ("CNV", "DME", "DRUSEN", "NORMAL")
    test = data.load("test", source)
    assert (test.images.shape, test.labels) == ((4, 8, 8, 1), pytest.approx([0, 1, 2, 3]))
    assert test.groups is not None
    assert test.groups.tolist() == ["372472", "372472", "672472", "672472"]


def test_unknown_name_and_class(write: Write, source: DataSource) -> None:
    with pytest.raises(DataUnavailable, match="chest X-rays"):
        KermanyXray().describe(source)
    write(f"{XRAY}/train/NORMAL/IM-0001-0001.jpeg")
    with pytest.raises(DataUnavailable, match=r"test is missing: unpack"):
        KermanyXray().describe(source)
    write(f"{XRAY}/test/COVID/IM-0001-0001.jpeg")
    with pytest.raises(DataError, match="is of class COVID; expected folders NORMAL, PNEUMONIA"):
        KermanyXray().describe(source)
    write(f"{XRAY}/test/A/scan.jpeg")
    with pytest.raises(DataError, match=r"scan\.jpeg: the file name contains no patient"):
        KermanyXray().describe(source)


def test_the_published_folders_are_declared_to_share_persons(write: Write, source: DataSource) -> None:
    for split in ("train", "test"):
        write(f"{XRAY}/{split}/PNEUMONIA/person1_bacteria_1.jpeg")
    data = KermanyXray(size=8, val=0)
    assert data.describe(source).shared_groups
    assert not KermanyXray(size=8, on_shared_groups="error").describe(source).shared_groups


@pytest.mark.data
def test_real_counts(real: DataSource) -> None:
    for classes, train, test in ((2, [1341, 1341], [234, 390]), (3, [1341, 870, 471], [234, 242, 148])):
        samples = KermanyXray(classes=classes, val=0).complete(real).samples  # type: ignore[arg-type]
        for split, counts in (("train", train), ("test", test)):
            assert np.bincount([s.label for s in samples if s.split == split]).tolist() == counts  # type: ignore[misc]
    parts = {split: KermanyXray(size=16).load(split, real) for split in SPLITS}
    assert sum(map(len, parts.values())) == 2682 + 624
    assert not set(parts["train"].groups) & set(parts["val"].groups)  # type: ignore[arg-type]


@pytest.mark.long
@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "train", "test"), [("oct", (7840, 7655), (3360, 3327)), ("chestx", (1800, 1798), (540, 540))]
)
def test_the_published_lists_can_be_taken_as_they_are(
    real: DataSource, name: str, train: tuple[int, int], test: tuple[int, int]
) -> None:
    """hirano2021's lists name files of release 3, some of them several times; 152 OCT images are in both."""
    assert real.root is not None
    lists = {split: real.root / "splits" / "hirano2021" / f"{name}_{split}.csv" for split in ("train", "test")}
    names = {line.split(",")[0] for file in lists.values() for line in file.read_text().split()}
    samples = [Sample(n, Path(n), 0, None, f"patient {n.split('-')[1]}") for n in sorted(names)]
    listed, _ = apply_split_lists(samples, f"splits/hirano2021/{name}_{{split}}.csv", real, repeated=True)
    assert len({s.id for s in listed}) == len(listed)
    for split, counts in (("train", train), ("test", test)):
        mine = [s for s in listed if s.split == split]
        assert (len(mine), len({s.file for s in mine})) == counts
    both = {s.file for s in listed if s.split == "train"} & {s.file for s in listed if s.split == "test"}
    assert len(both) == (152 if name == "oct" else 0)
