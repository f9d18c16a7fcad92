"""Exporting universal perturbations from a store: as arrays, and as pictures with enhanced contrast."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..errors import StoreError
from .store import Store

COLUMNS = (
    *("file", "dataset", "model", "defense", "attack", "goal", "budget", "surrogate", "craft_on", "seed"),
    *("norm", "eps", "size", "artifact"),
)


def export_perturbations(store: Store, folder: Path) -> list[Path]:
    """Write every universal perturbation as `.npy` and `.png`, and what each is to `perturbations.csv`.

    The array is float32 (h, w) or (h, w, 3), in pixels of [0, 1]. The picture runs from the least value (black) to the
    greatest (white), as minagi2022 (Fig 4) shows perturbations; one that is zero throughout is grey.

    Returns:
        The pictures, in the order of the table.

    Raises:
        StoreError: if the store holds none, or the folder cannot be written.
    """
    rows = store.rows("artifacts")
    rows = rows[rows["kind"] == "perturbation"].sort_values("artifact")
    if rows.empty:
        raise StoreError(
            f"{store.path} contains no universal perturbation; attacks such as uap and random-uap create them"
        )
    pictures = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "perturbations.csv").open("w", newline="", encoding="utf-8") as stream:
            table = csv.DictWriter(stream, COLUMNS, extrasaction="ignore", lineterminator="\n")
            table.writeheader()
            for row in rows.to_dict("records"):
                facts: dict[str, Any] = json.loads(row["description"])
                name = _file_name(facts, row["artifact"])
                pixels = store.load_tensors(row["content"])["perturbation"].numpy()
                pixels = pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1)
                np.save(folder / f"{name}.npy", pixels, allow_pickle=False)
                Image.fromarray(visible(pixels)).save(folder / f"{name}.png")
                table.writerow({**facts, "file": name, "artifact": row["artifact"]})
                pictures.append(folder / f"{name}.png")
    except OSError as error:
        raise StoreError(f"{folder}: cannot be written ({error.strerror or error}); choose another --out") from error
    return pictures


def visible(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A perturbation from its least value at 0 to its greatest at 255; 128 throughout if all values are equal."""
    least, span = float(pixels.min()), float(np.ptp(pixels))
    if span == 0:
        return np.full(pixels.shape, 128, dtype=np.uint8)
    return np.asarray(np.rint((pixels - least) * (255 / span)), dtype=np.uint8)


def _file_name(facts: dict[str, Any], identity: str) -> str:
    """Readable, short, and unlike that of any other perturbation."""
    parts = (facts["dataset"].partition("(")[0], facts["attack"].partition("(")[0], facts["goal"], facts["budget"])
    words = "-".join(re.sub(r"[^A-Za-z0-9.]+", "_", part).strip("_") for part in parts if part)
    return f"{words}-{identity[:8]}"
