"""What a number must say where patients of its images are among those that the model was trained on."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from medrobust.api import Store


def shared_groups_of(store: Store, cells: pd.DataFrame) -> dict[str, str]:
    """For each cell the groups of its images that other splits have too, in words; cells without any are left out.

    Args:
        store: where the records are.
        cells: rows of its table `cells`, with the column `part`.
    """
    parts = store.rows("parts")
    told = dict(zip(parts["part"], parts["shared_groups"], strict=True))
    pairs = zip(cells["cell"], cells["part"], strict=True)
    return {cell: text for cell, part in pairs if (text := told.get(part) or "")}


def together(texts: Iterable[str]) -> str:
    """What several cells behind one number say, each thing once."""
    return "; ".join(dict.fromkeys(text for text in texts if text))
