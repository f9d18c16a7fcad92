"""Draw docs/phantoms.png: a row of images of every phantom, each with its class.

python examples/phantom_contact_sheet.py [FILE]
"""

from __future__ import annotations

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from medrobust import DataSource
from medrobust_datasets.phantoms import (
    PhantomCXR,
    PhantomDerm,
    PhantomFundus,
    PhantomHistology,
    PhantomNatural,
    PhantomOCT,
)
from medrobust_datasets.phantoms.base import Phantom

COLUMNS, SIZE, SAMPLE = 10, 128, 200
COMMON = {"size": SIZE, "test": SAMPLE}
ROWS: list[Phantom] = [
    PhantomCXR(classes=4, **COMMON),
    PhantomCXR(task="multilabel", **COMMON),
    PhantomFundus(**COMMON),
    PhantomDerm(**COMMON),
    PhantomDerm(classes=7, **COMMON),
    PhantomOCT(**COMMON),
    PhantomHistology(classes=4, **COMMON),
    PhantomNatural(**COMMON),
]


def pick(phantom: Phantom) -> list[tuple[np.ndarray, str]]:
    """Images with their titles: the classes in turn, each patient once as far as they suffice."""
    data = phantom.load("test", DataSource())
    assert data.labels is not None
    assert data.groups is not None
    names = phantom.class_names
    _, first = np.unique(data.groups, return_index=True)
    if data.labels.ndim == 2:
        alone = [i for i in first if data.labels[i].sum() == 1]
        of_finding = {int(data.labels[i].argmax()): i for i in reversed(alone)}
        return [(data.images[i], names[k]) for k, i in sorted(of_finding.items())][:COLUMNS]
    queues = [list(first[data.labels[first] == k]) for k in range(len(names))]
    chosen = [queue[turn] for turn in range(COLUMNS) for queue in queues if turn < len(queue)][:COLUMNS]
    return [(data.images[i], names[int(data.labels[i])]) for i in sorted(chosen, key=lambda i: data.labels[i])]


def main(file: Path) -> None:
    figure, axes = plt.subplots(len(ROWS), COLUMNS, figsize=(1.3 * COLUMNS, 1.5 * len(ROWS)), layout="constrained")
    for row, phantom in zip(axes, ROWS, strict=True):
        for axis in row:
            axis.axis("off")
        for axis, (image, title) in zip(row, pick(phantom), strict=False):
            axis.imshow(image.squeeze(), cmap="gray", vmin=0, vmax=255)
            axis.set_title(title, fontsize=7, pad=2)
    figure.savefig(file, dpi=68)
    print(f"wrote {file}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1] / "docs" / "phantoms.png")
