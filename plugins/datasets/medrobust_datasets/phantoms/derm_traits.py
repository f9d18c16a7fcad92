"""How the lesions of each class look under a dermatoscope: one row of traits a class."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .drawing import Array

RGB = tuple[float, float, float]


class Traits(NamedTuple):
    """Mean appearance of a class. Strengths and shares are 0 to 1."""

    body: RGB
    """Main colour."""
    patches: RGB
    """Second colour, in irregular patches."""
    patchiness: float
    """Share of the second colour."""
    waviness: float
    """Relative amplitude of the lobes of the border."""
    softness: float
    """Width of the border relative to the radius."""
    lopsided: float
    """How far the colours are shifted to one side, relative to the radius."""
    network: float
    """Regular pigment network."""
    veil: float
    """Blue-white veil over a part."""
    globules: float
    """Dark dots, irregularly placed."""
    vessels: float
    """Branched red vessels."""
    scale: float
    """White keratin: scales or cysts like milia."""
    pale_centre: float
    """White scar in the middle."""
    lacunae: float
    """Red to purple round lakes of blood."""


BROWN, DARK, TAN, PINK, ROSE = (
    (0.52, 0.33, 0.24),
    (0.33, 0.21, 0.18),
    (0.68, 0.50, 0.36),
    (0.76, 0.48, 0.44),
    (0.74, 0.48, 0.46),
)
CHESTNUT = (0.60, 0.40, 0.30)
GREY, RED, PURPLE, WAX = (0.45, 0.42, 0.44), (0.82, 0.34, 0.36), (0.60, 0.28, 0.38), (0.66, 0.49, 0.28)

BENIGN = Traits(BROWN, TAN, 0.25, 0.025, 0.28, 0.03, 0.55, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0)
MALIGNANT = Traits(CHESTNUT, DARK, 0.45, 0.10, 0.16, 0.50, 0.15, 0.40, 0.65, 0.10, 0.05, 0.0, 0.0)

ISIC: dict[str, Traits] = {
    "MEL": Traits(CHESTNUT, DARK, 0.50, 0.09, 0.18, 0.50, 0.20, 0.55, 0.60, 0.05, 0.0, 0.0, 0.0),
    "NV": Traits(BROWN, TAN, 0.25, 0.025, 0.32, 0.05, 0.65, 0.0, 0.10, 0.0, 0.0, 0.0, 0.0),
    "BCC": Traits(ROSE, GREY, 0.40, 0.06, 0.45, 0.20, 0.0, 0.10, 0.15, 0.95, 0.05, 0.0, 0.0),
    "AKIEC": Traits(PINK, TAN, 0.40, 0.07, 0.60, 0.10, 0.0, 0.0, 0.05, 0.20, 0.75, 0.0, 0.0),
    "BKL": Traits(WAX, BROWN, 0.35, 0.05, 0.08, 0.05, 0.10, 0.0, 0.10, 0.0, 0.80, 0.0, 0.0),
    "DF": Traits(BROWN, PINK, 0.25, 0.02, 0.45, 0.0, 0.35, 0.0, 0.0, 0.05, 0.0, 0.95, 0.0),
    "VASC": Traits(RED, PURPLE, 0.40, 0.03, 0.15, 0.05, 0.0, 0.05, 0.0, 0.0, 0.0, 0.0, 0.95),
}
"""The classes of task 3 of ISIC 2018 (HAM10000, Tschandl et al., 2018)."""

ISIC_SHARES: dict[str, float] = {
    "MEL": 0.111, "NV": 0.649, "BCC": 0.051, "AKIEC": 0.035, "BKL": 0.110, "DF": 0.020, "VASC": 0.024,
}  # fmt: skip
"""About the shares in that data set; the two rarest are raised from 1.2 and 1.4 % so that a small split holds some."""


@dataclass(frozen=True)
class Lesions:
    """The traits of n lesions: colours (n, 3), all else (n,)."""

    body: Array
    patches: Array
    patchiness: Array
    waviness: Array
    softness: Array
    lopsided: Array
    network: Array
    veil: Array
    globules: Array
    vessels: Array
    scale: Array
    pale_centre: Array
    lacunae: Array

    @classmethod
    def between(cls, rows: list[Traits], labels: NDArray[np.int64], others: NDArray[np.int64], doubt: Array) -> Lesions:
        """Lesions of class `labels`, with a share `doubt` (n,) of the looks of class `others`."""
        columns = [np.array(column, dtype=np.float32) for column in zip(*rows, strict=True)]
        weights = [doubt.reshape(-1, *[1] * (column.ndim - 1)) for column in columns]
        return cls(*(c[labels] + (c[others] - c[labels]) * w for c, w in zip(columns, weights, strict=True)))
