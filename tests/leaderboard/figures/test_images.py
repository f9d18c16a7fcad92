"""Images keep their pixels; perturbations are stretched so that they can be seen."""

import numpy as np
import pytest

from medrobust_leaderboard.figures import Tile, Triptych, images, images_data, triptych, triptych_tiles

GREY = np.arange(16, dtype=np.uint8).reshape(4, 4, 1) * 17


def test_an_image_is_shown_as_it_is() -> None:
    assert Tile(pixels=GREY).visible() == pytest.approx(GREY[..., 0] / 255)
    assert Tile(pixels=GREY.astype(np.uint16) * 257).visible() == pytest.approx(GREY[..., 0] / 255)
    assert Tile(pixels=np.full((2, 2, 3), 1.5)).visible().max() == 1.0


def test_a_perturbation_spans_black_to_white() -> None:
    tiny = np.array([[-0.01, 0.0], [0.0, 0.03]])
    assert Tile(pixels=tiny, kind="perturbation").visible() == pytest.approx(np.array([[0, 0.25], [0.25, 1]]))
    assert Tile(pixels=np.zeros((2, 2)), kind="perturbation").visible() == pytest.approx(np.full((2, 2), 0.5))


def test_a_stack_of_channels_that_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got \(4, 4, 2\)"):
        Tile(pixels=np.zeros((4, 4, 2))).visible()


def test_a_triptych_shows_the_difference_between_its_images() -> None:
    # 8-bit and float images on one scale: the perturbation is the true one.
    adversarial = GREY / 255 + 0.01
    example = Triptych(clean=GREY, adversarial=adversarial, clean_caption="NV", adversarial_caption="MEL")
    rows = triptych_tiles([example, example])
    assert rows[0][1].pixels == pytest.approx(np.full((4, 4, 1), 0.01))
    assert [tile.title for tile in rows[0]] == ["clean", "perturbation", "adversarial"]
    assert [tile.title for tile in rows[1]] == ["", "", ""]
    figure = triptych([example, example], row_labels=("a", "b"))
    assert [axes.get_xlabel() for axes in figure.axes] == ["NV", "", "MEL"] * 2
    assert [figure.axes[place].get_ylabel() for place in (0, 3)] == ["a", "b"]


def test_the_data_places_every_image_and_gives_its_range() -> None:
    rows = [[Tile(pixels=GREY, caption="NV"), None], [Tile(pixels=np.array([[-1.0, 2.0]]), kind="perturbation")]]
    data = images_data(rows)
    assert [(row["row"], row["column"]) for row in data] == [(0, 0), (1, 0)]
    assert (data[1]["least"], data[1]["greatest"], data[1]["height"], data[1]["width"]) == (-1.0, 2.0, 1, 2)
    assert len(images(rows).axes) == 4


def test_a_map_is_shown_on_its_scale() -> None:
    values = np.array([[-1.0, 0.0], [1.0, 3.0]])
    assert Tile(pixels=values, kind="map").visible() == pytest.approx((values + 1) / 4)
    assert Tile(pixels=values, kind="map", limits=(0, 2)).visible() == pytest.approx(np.array([[0, 0], [0.5, 1]]))
    # No change is the middle of the scale, whatever the extremes are.
    assert Tile(pixels=values, kind="change", limits=(-3, 3)).visible()[0, 1] == 0.5
    with pytest.raises(ValueError, match=r"a map is \(h, w\)"):
        Tile(pixels=np.zeros((2, 2, 3)), kind="map").visible()


def test_a_map_lies_over_its_image_in_full() -> None:
    figure = images([[Tile(pixels=np.eye(2), kind="map", under=GREY, caption="NV", right=False)]])
    image, attention = figure.axes[0].images
    assert [*image.get_extent()] == [*attention.get_extent()] == [-0.5, 3.5, 3.5, -0.5]
    assert attention.get_alpha() == 0.5


def test_right_and_wrong_decisions_have_colours() -> None:
    figure = images([[Tile(pixels=GREY, caption="NV", right=right) for right in (True, False, None)]])
    colours = [axes.xaxis.label.get_color() for axes in figure.axes]
    assert len(set(colours)) == 3
    assert images_data([[Tile(pixels=GREY, right=True)]])[0]["right"] is True
