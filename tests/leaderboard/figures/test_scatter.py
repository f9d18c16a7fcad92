"""Points in the plane: groups keep their colours, panels their places."""

import numpy as np

from medrobust_leaderboard.figures import ScatterPanel, scatter, scatter_data

PLACES = np.array([[0.0, 1.0], [2.0, 3.0]])


def panel(row: str, column: str) -> ScatterPanel:
    return ScatterPanel(row=row, column=column, groups={"clean": PLACES, "adversarial": PLACES + 10})


def test_panels_stand_in_rows_and_columns_with_one_legend() -> None:
    figure = scatter([[panel("Skin", "FGSM"), panel("Skin", "PGD")], [None, panel("Chest", "PGD")]])
    assert [axes.get_title() for axes in figure.axes] == ["FGSM", "PGD", "", ""]
    assert [figure.axes[place].get_ylabel() for place in (0, 2)] == ["Skin", "Chest"]
    assert [len(axes.collections) for axes in figure.axes] == [2, 2, 0, 2]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["clean", "adversarial"]


def test_the_data_has_every_point_with_the_number_of_its_image() -> None:
    data = scatter_data([[panel("Skin", "FGSM"), None]])
    assert [(row["group"], row["image"], row["x"]) for row in data] == [
        ("clean", 0, 0.0), ("clean", 1, 2.0), ("adversarial", 0, 10.0), ("adversarial", 1, 12.0)
    ]  # fmt: skip
