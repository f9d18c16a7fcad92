"""Strength against passes: every attack lies inside its panel, and the data beside the figure are those drawn."""

from __future__ import annotations

from pathlib import Path

from medrobust_leaderboard.figures import FrontPanel, FrontPoint, fronts, fronts_data, save

PANELS = [
    FrontPanel("skin, linf:1/255", (FrontPoint("noise", 0, 0.0, 0.0, 0.06, control=True), FrontPoint("fgsm", 2, 0.2))),
    FrontPanel(
        "skin, linf:4/255", (FrontPoint("pgd", 40, 0.9, 0.8, 0.97, on_front=True), FrontPoint("slow", 900, 0.5))
    ),
]


def test_every_point_lies_inside_its_panel() -> None:
    figure = fronts(PANELS)
    for axis, panel in zip(figure.axes, PANELS, strict=True):
        (left, right), (bottom, top) = axis.get_xlim(), axis.get_ylim()
        for point in panel.points:
            assert left < point.passes < right
            assert bottom < point.broken <= (point.high or point.broken) < top
        assert {text.get_text() for text in axis.texts} == {point.name for point in panel.points}


def test_the_data_are_those_drawn(tmp_path: Path) -> None:
    rows = fronts_data(PANELS)
    assert [(row["attack"], row["passes"], row["on_front"]) for row in rows] == [
        ("noise", 0, False),
        ("fgsm", 2, False),
        ("pgd", 40, True),
        ("slow", 900, False),
    ]
    assert save(fronts(PANELS), rows, tmp_path / "front").exists
