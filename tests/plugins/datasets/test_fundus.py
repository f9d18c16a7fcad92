"""The field of view: largest lit region, padded to a square."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from medrobust_datasets.fundus import field_of_view


def photograph(height: int, width: int, *, radius: int, centre: tuple[int, int], background: int = 0) -> Image.Image:
    rows, columns = np.ogrid[:height, :width]
    lit = (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2
    pixels = np.full((height, width, 3), background, np.uint8)
    pixels[lit] = (180, 90, 40)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("background", [0, 5, 30])
def test_disc_is_cut_out(background: int) -> None:
    image = photograph(100, 160, radius=30, centre=(50, 90), background=background)
    assert field_of_view(image).size == (61, 61)


def test_disc_cut_off_at_the_border_is_padded_with_black() -> None:
    cropped = np.asarray(field_of_view(photograph(40, 160, radius=30, centre=(20, 80))))
    assert cropped.shape == (61, 61, 3)
    assert cropped[0].max() == 0
    assert cropped[30].max() == 180


def test_a_bright_speck_is_not_the_disc() -> None:
    image = photograph(100, 160, radius=30, centre=(50, 90))
    image.paste((255, 255, 255), (2, 2, 6, 6))
    assert field_of_view(image).size == (61, 61)


def test_large_photographs_are_measured_on_a_reduced_copy() -> None:
    side = field_of_view(photograph(1600, 2400, radius=700, centre=(800, 1200))).width
    assert side == pytest.approx(1401, abs=6)


def test_black_image_is_left_alone() -> None:
    assert field_of_view(Image.new("RGB", (30, 20))).size == (30, 20)
