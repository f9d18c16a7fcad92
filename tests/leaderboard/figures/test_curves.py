"""Curves: what is drawn is what was given, with one colour a label and a gap for None."""

import itertools

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D

from medrobust_leaderboard.figures import CurvePanel, Line, Series, curves, curves_data

EPS = (0.0, 0.3, 1.0, 4.0)


def series(label: str, y: tuple[float | None, ...] = (0.9, 0.5, 0.2, 0.0), **rest: object) -> Series:
    return Series(label=label, x=EPS, y=y, **rest)  # type: ignore[arg-type]


def lines_by_label(axes: object) -> dict[str, Line2D]:
    return {line.get_label(): line for line in axes.get_lines()}  # type: ignore[attr-defined]


@pytest.mark.parametrize("x_scale", ["linear", "log", "even"])
def test_every_scale_shows_every_point(x_scale: str) -> None:
    panels = [CurvePanel(title="a", series=(series("PGD"),))]
    figure = curves(panels, x_label="ε", y_label="accuracy (%)", x_scale=x_scale)  # type: ignore[arg-type]
    (axes,) = figure.axes
    line = lines_by_label(axes)["PGD"]
    low, high = axes.get_xlim()
    assert all(low < x < high for x in line.get_xdata())  # type: ignore[union-attr]
    low, high = axes.get_ylim()
    assert all(low < y < high for y in line.get_ydata())  # type: ignore[union-attr]


def test_an_even_axis_is_labelled_with_the_values() -> None:
    figure = curves([CurvePanel(title="a", series=(series("PGD"),))], x_label="ε", y_label="", x_scale="even")
    assert [tick.get_text() for tick in figure.axes[0].get_xticklabels()] == ["0", "0.3", "1", "4"]


def test_large_values_of_a_logarithmic_axis_are_written_out() -> None:
    images = Series(label="success", x=(20.0, 200.0, 1000.0, 2000.0), y=(1.0, 1.0, 1.0, 1.0))
    figure = curves([CurvePanel(title="a", series=(images,))], x_label="training images", y_label="", x_scale="log")
    figure.canvas.draw()
    labels = figure.axes[0].get_xticklabels()
    assert [label.get_text() for label in labels] == ["20", "200", "1,000", "2,000"]
    boxes = [label.get_window_extent() for label in labels]
    assert all(left.x1 < right.x0 for left, right in itertools.pairwise(boxes))


def test_a_label_keeps_its_colour_over_panels_and_lends_it() -> None:
    paper = series("paper", style="reference", like="BIM")
    control = series("noise", style="control")
    panels = [
        CurvePanel(title="one", series=(series("PGD"), series("BIM"), paper)),
        CurvePanel(title="two", series=(series("BIM"), control)),
    ]
    first, second = (lines_by_label(axes) for axes in curves(panels, x_label="", y_label="").axes)
    color = {label: to_hex(line.get_color()) for label, line in first.items()}
    assert color["BIM"] == color["paper"] == to_hex(second["BIM"].get_color())
    assert color["BIM"] != color["PGD"]
    assert first["paper"].get_linestyle() != first["BIM"].get_linestyle()
    assert to_hex(second["noise"].get_color()) not in color.values()


def test_none_is_a_gap_not_a_zero() -> None:
    panels = [CurvePanel(title="a", series=(series("PGD", (0.9, None, 0.2, 0.0)),))]
    line = lines_by_label(curves(panels, x_label="", y_label="").axes[0])["PGD"]
    assert np.isnan(np.asarray(line.get_ydata())).tolist() == [False, True, False, False]
    assert [row["y"] for row in curves_data(panels)] == [0.9, None, 0.2, 0.0]


def test_intervals_are_a_band_around_the_curve() -> None:
    band = series("PGD", low=(0.8, 0.4, 0.1, 0.0), high=(1.0, 0.6, 0.3, 0.1))
    figure = curves([CurvePanel(title="a", series=(band,))], x_label="", y_label="")
    vertices = figure.axes[0].collections[0].get_paths()[0].vertices
    assert {0.8, 1.0, 0.4, 0.6} <= set(np.round(np.asarray(vertices)[:, 1], 6).tolist())


def test_the_legend_names_each_label_once() -> None:
    panels = [
        CurvePanel(title=title, series=(series("PGD"), series("BIM")), lines=(Line(label="clean", y=0.9),))
        for title in ("one", "two")
    ]
    figure = curves(panels, x_label="", y_label="")
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["PGD", "BIM", "clean"]
    assert [row["style"] for row in curves_data(panels)].count("horizontal") == 2


def test_four_panels_are_two_by_two() -> None:
    panels = [CurvePanel(title=str(number), series=(series("PGD"),)) for number in range(4)]
    figure = curves(panels, x_label="ε", y_label="accuracy", columns=3)
    assert [axes.get_ylabel() for axes in figure.axes] == ["accuracy", "", "accuracy", ""]
    assert [axes.get_xlabel() for axes in figure.axes] == ["", "", "ε", "ε"]


def test_a_series_of_unequal_lengths_is_refused() -> None:
    with pytest.raises(ValueError, match=r"series 'PGD': .* different lengths \[3, 4\]"):
        Series(label="PGD", x=EPS, y=(0.9, 0.5, 0.1))
