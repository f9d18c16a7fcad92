"""Loss surfaces: on one scale, with every value in their data."""

import numpy as np
import pytest

from medrobust_leaderboard.figures import Surface, Tile, surfaces, surfaces_data

IMAGE = Tile(pixels=np.full((4, 4, 1), 0.5), title="Skin", caption="NV")
EPS = np.array([0.0, 4.0, 8.0])
LABELS = {"x_label": "own", "y_label": "other", "z_label": "loss"}


def surface(height: float) -> Surface:
    return Surface(image=IMAGE, x=EPS, y=EPS[:2], z=np.array([[0, 1], [2, 3], [4, 5]]) * height)


def test_surfaces_share_one_scale_so_that_steepness_can_be_compared() -> None:
    figure = surfaces([surface(0.1), surface(2.0)], **LABELS)
    images, others = figure.axes[0::2], figure.axes[1::2]
    assert [axes.get_title() for axes in images] == ["Skin", "Skin"]
    assert [axes.get_zlim() for axes in others] == [(0.0, 10.0), (0.0, 10.0)]
    assert others[0].get_zlabel() == "loss"


def test_a_surface_that_is_zero_everywhere_can_be_drawn() -> None:
    (_, flat) = surfaces([surface(0.0)], **LABELS).axes
    low, high = flat.get_zlim()
    assert low < high


def test_the_data_has_every_point() -> None:
    data = surfaces_data([surface(1.0)])
    assert [(row["x"], row["y"], row["z"]) for row in data] == [
        (0, 0, 0), (0, 4, 1), (4, 0, 2), (4, 4, 3), (8, 0, 4), (8, 4, 5)
    ]  # fmt: skip
    assert data[0]["decided"] == "NV"


def test_values_that_do_not_fit_their_places_are_refused() -> None:
    with pytest.raises(ValueError, match=r"over 3 x 3 places has no values \(3, 2\)"):
        Surface(image=IMAGE, x=EPS, y=EPS, z=np.zeros((3, 2)))
