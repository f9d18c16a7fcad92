"""Bars: heights, intervals and control lines are those given."""

import numpy as np
import pytest

from medrobust_leaderboard.figures import BarPanel, BarSeries, Line, bars, bars_data

PANEL = BarPanel(
    title="p = 2",
    groups=("VGG16", "ResNet50"),
    series=(
        BarSeries(label="skin", values=(0.9, 0.8), low=(0.85, 0.75), high=(0.95, 0.85), control=(0.1, None)),
        BarSeries(label="OCT", values=(0.7, None)),
    ),
    lines=(Line(label="chance", y=0.5),),
)


def test_bars_stand_side_by_side_with_the_heights_given() -> None:
    (axes,) = bars([PANEL], y_label="fooling rate (%)").axes
    drawn = [(patch.get_x() + patch.get_width() / 2, patch.get_height()) for patch in axes.patches]  # type: ignore[attr-defined]
    heights = [height for _, height in drawn]
    assert heights[:3] == [0.9, 0.8, 0.7]
    assert np.isnan(heights[3])
    assert drawn[0][0] < 0 < drawn[2][0] < 0.5 < drawn[1][0] < 1


def test_the_legend_has_bars_first_then_dashed_lines() -> None:
    figure = bars([PANEL, PANEL], y_label="", control_label="random UAP")
    texts = [text.get_text() for text in figure.legends[0].get_texts()]
    assert texts == ["skin", "OCT", "random UAP", "chance"]


def test_the_data_has_every_bar_and_line() -> None:
    rows = bars_data([PANEL])
    assert len(rows) == 5
    assert rows[0] == {
        "panel": "p = 2", "group": "VGG16", "series": "skin", "value": 0.9, "low": 0.85, "high": 0.95, "control": 0.1
    }  # fmt: skip
    assert (rows[-1]["series"], rows[-1]["value"]) == ("chance", 0.5)


def test_values_must_match_the_groups() -> None:
    with pytest.raises(ValueError, match="2 groups need as many values"):
        BarPanel(title="t", groups=("a", "b"), series=(BarSeries(label="s", values=(0.1,)),))


def test_panels_must_share_their_groups() -> None:
    other = BarPanel(title="o", groups=("x",), series=(BarSeries(label="s", values=(0.1,)),))
    with pytest.raises(ValueError, match="same groups"):
        bars([PANEL, other], y_label="")
