"""How the lesions of each class look under a dermatoscope: one row of traits a class."""

from __future__ import annotations

from typing import Generic, NamedTuple, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from .drawing import Array

RGB: TypeAlias = tuple[float, float, float]
C = TypeVar("C")
V = TypeVar("V")


class Traits(NamedTuple, Generic[C, V]):
    """Appearance: the mean of a class, or of each of n lesions. Strengths and shares are 0 to 1."""

    body: C
    """Main colour."""
    patches: C
    """Second colour, in irregular patches."""
    patchiness: V
    """Share of the second colour."""
    waviness: V
    """Relative amplitude of the lobes of the border."""
    softness: V
    """Width of the border relative to the radius."""
    lopsided: V
    """How far the colours are shifted to one side, relative to the radius."""
    network: V
    """Regular pigment network."""
    veil: V
    """Blue-white veil over a part."""
    globules: V
    """Dark dots, irregularly placed."""
    vessels: V
    """Branched red vessels."""
    scale: V
    """White keratin: scales or cysts like milia."""
    pale_centre: V
    """White scar in the middle."""
    lacunae: V
    """Red to purple round lakes of blood."""


Looks: TypeAlias = Traits[RGB, float]
"""The mean appearance of a class."""

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

ISIC: dict[str, Looks] = {
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


Lesions: TypeAlias = Traits[Array, Array]
"""The traits of n lesions: colours (n, 3), all else (n,)."""


def between(rows: list[Looks], labels: NDArray[np.int64], others: NDArray[np.int64], doubt: Array) -> Lesions:
    """Lesions of class `labels`, with a share `doubt` (n,) of the looks of class `others`."""
    columns = [np.array(column, dtype=np.float32) for column in zip(*rows, strict=True)]
    weights = [doubt.reshape(-1, *[1] * (column.ndim - 1)) for column in columns]
    return Traits(*(c[labels] + (c[others] - c[labels]) * w for c, w in zip(columns, weights, strict=True)))
