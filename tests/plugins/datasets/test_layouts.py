"""Layouts: which files count, and what their folders say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust import DataError, DataUnavailable
from medrobust_datasets.layouts import by_name, list_images, need, place, split_folders

Write = Callable[..., Path]


def test_images_at_any_depth_without_hidden_ones(write: Write, tmp_path: Path) -> None:
    for name in ("b.png", "a/x/1.JPG", ".cache/2.png", "__MACOSX/a/3.png", "a/._1.png"):
        write(f"set/{name}", format="PNG")
    (tmp_path / "set/notes.txt").write_text("no image")
    assert [file.relative_to(tmp_path / "set").as_posix() for file in list_images(tmp_path / "set")] == [
        "a/x/1.JPG",
        "b.png",
    ]
    with pytest.raises(DataUnavailable, match="contains no images"):
        list_images(tmp_path / "set/.cache/none")


@pytest.mark.parametrize(
    ("path", "has_splits", "expected"),
    [
        ("train/cat/1.png", True, ("train", "cat")),
        ("Validation/cat/deep/1.png", True, ("val", "cat")),
        ("cat/deep/1.png", False, (None, "cat")),
        ("1.png", False, (None, None)),
        ("test/1.png", True, ("test", None)),
    ],
)
def test_split_and_class_of_a_path(path: str, has_splits: bool, expected: tuple[str | None, str | None]) -> None:
    assert place(Path(path), has_splits=has_splits) == expected


def test_split_folders_are_all_or_none() -> None:
    assert split_folders([Path("train/a/1.png"), Path("TEST/a/2.png")])
    assert not split_folders([Path("a/1.png"), Path("b/2.png")])
    with pytest.raises(DataError, match="'extra' beside the split folders 'train'"):
        split_folders([Path("train/a/1.png"), Path("extra/1.png")])


def test_names_must_be_unique(tmp_path: Path) -> None:
    files = [Path("a/1.png"), Path("b/1.jpg")]
    assert by_name(files) == {"1.png": files[0], "1.jpg": files[1]}
    with pytest.raises(DataError, match="two images are called '1'"):
        by_name(files, stem=True)


def test_what_is_missing_is_asked_for(tmp_path: Path) -> None:
    assert need(tmp_path, "a folder") == tmp_path
    with pytest.raises(DataUnavailable, match=r"labels\.csv is missing: fetch it"):
        need(tmp_path / "labels.csv", "fetch it")
