"""Perturbations out of a store: the array as it was, the picture from black to white, and a table of what is what."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from medrobust import StoreError
from medrobust.api import Store
from medrobust.results.export import export_perturbations, visible


def keep(store: Store, artifact: str, perturbation: torch.Tensor, kind: str = "perturbation") -> None:
    facts = {"dataset": "skin(size=8)", "model": "net", "attack": "uap", "goal": "target:MEL", "budget": "l2:zeta=4%"}
    row = {
        "artifact": artifact,
        "kind": kind,
        "content": store.save_tensors({"perturbation": perturbation}),
        "description": json.dumps({**facts, "norm": "l2", "eps": 0.5, "size": 0.25}),
        "created": datetime.now(UTC),
    }
    store.write_rows("artifacts", artifact, [row])


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store").create()


def test_arrays_and_pictures_of_every_perturbation(store: Store, tmp_path: Path) -> None:
    colour, grey = torch.linspace(-0.1, 0.1, 3 * 4 * 5).view(3, 4, 5), torch.linspace(-0.2, 0.1, 20).view(1, 4, 5)
    keep(store, "aaaaaaaaaa", colour)
    keep(store, "bbbbbbbbbb", grey)
    keep(store, "cccccccccc", grey, kind="probe")
    pictures = export_perturbations(store, tmp_path / "out")
    assert [p.name for p in pictures] == ["skin-uap-target_MEL-l2_zeta_4-aaaaaaaa.png", pictures[1].name]
    assert np.array_equal(np.load(pictures[0].with_suffix(".npy")), colour.permute(1, 2, 0).numpy())
    assert np.array_equal(np.load(pictures[1].with_suffix(".npy")), grey[0].numpy())
    for picture, mode in zip(pictures, ("RGB", "L"), strict=True):
        with Image.open(picture) as image:
            assert (image.mode, image.size) == (mode, (5, 4))
            assert (np.asarray(image).min(), np.asarray(image).max()) == (0, 255)
    with (tmp_path / "out" / "perturbations.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [r["file"] for r in rows] == [p.stem for p in pictures]
    assert (rows[0]["model"], rows[0]["eps"], rows[0]["size"]) == ("net", "0.5", "0.25")


def test_a_perturbation_of_zero_is_grey() -> None:
    assert (visible(np.zeros((2, 2), dtype=np.float32)) == 128).all()


def test_a_store_without_any_says_so(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="contains no universal perturbation; attacks such as uap and random-uap"):
        export_perturbations(store, tmp_path / "out")


def test_a_folder_that_cannot_be_written_is_named(store: Store, tmp_path: Path) -> None:
    keep(store, "aaaaaaaaaa", torch.ones(1, 2, 2))
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StoreError, match="choose another --out"):
        export_perturbations(store, tmp_path / "out")
