"""Confusion matrices are normalised by row; a class without images shows a dash."""

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from medrobust_leaderboard.figures import ConfusionMatrix, confusion, confusion_data

MATRIX = ConfusionMatrix(title="clean", rows=("NV", "MEL"), columns=("NV", "MEL"), values=((30.0, 10.0), (0.0, 0.0)))


def test_each_row_sums_to_one_and_normalising_again_changes_nothing() -> None:
    first, empty = MATRIX.normalised()
    assert first == [0.75, 0.25]
    assert empty == [None, None]
    again = ConfusionMatrix(title="", rows=("NV",), columns=("NV", "MEL"), values=((0.75, 0.25),))
    assert again.normalised() == [[0.75, 0.25]]


def test_the_numbers_are_written_in_percent() -> None:
    (axes,) = confusion([MATRIX]).axes
    assert [text.get_text() for text in axes.texts] == ["75", "25", "–", "–"]
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")


def test_the_data_keeps_counts_and_shares() -> None:
    rows = confusion_data([MATRIX])
    assert rows[0] == {"panel": "clean", "row": "NV", "column": "NV", "value": 30.0, "share": 0.75}
    assert rows[3]["share"] is None


def test_a_matrix_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="must be 2 rows of 2"):
        ConfusionMatrix(title="t", rows=("a", "b"), columns=("a", "b"), values=((1.0, 2.0),))


def test_no_name_is_cut_off_where_matrices_of_several_sizes_share_a_row() -> None:
    names = (
        ("MEL", "NV", "BCC", "AKIEC", "BKL", "DF", "VASC"),
        ("CNV", "DME", "DRUSEN", "NM"),
        ("NORMAL", "PNEUMONIA"),
    )
    matrices = [
        ConfusionMatrix(title="Chest X-ray", rows=n, columns=n, values=tuple((1.0,) * len(n) for _ in n)) for n in names
    ]
    figure = confusion(matrices)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    width, height = canvas.get_width_height()
    for axes in figure.axes:
        box = axes.get_tightbbox(canvas.get_renderer())
        assert box is not None
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
