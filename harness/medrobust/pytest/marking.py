"""What a module of tests imports; nothing here waits for torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from torch import nn

FIXTURE = "medrobust_model"
"""The fixture that gives a model under test, and the name by which grids call it."""


@dataclass(frozen=True)
class Stochastic:
    """A model under test whose logits differ between equal images; what the fixture `medrobust_model` may return."""

    module: nn.Module


def parametrize(
    grid: str | os.PathLike[str] | Mapping[str, Any],
    *,
    profile: str = "",
    images: int | None = None,
    evidence: bool = True,
) -> pytest.MarkDecorator:
    """Run a test once for each cell of a grid; the test takes the cell as its argument `cell`.

    Cells are computed when the first test needs one, all that were selected at once, and found in the store from then
    on. What the threat model or the grid excludes is left out.

    Args:
        grid: a grid file, relative to the file of the test, or the content of one.
        profile: as in `Session.plan`; by default the option `--medrobust-profile`.
        images: as in `Session.plan`; by default the option `--medrobust-images`.
        evidence: compute the few inexpensive cells that the checks of evidence need, and check.
    """
    return pytest.mark.medrobust(grid, profile=profile, images=images, evidence=evidence)
