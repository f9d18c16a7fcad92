"""A saved figure is three files; equal figures are equal bytes; nothing global is left changed."""

import csv
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
from numpy import random

from medrobust_leaderboard.figures import CurvePanel, Series, Tile, curves, curves_data, images, save

PANELS = [CurvePanel(title="a", series=(Series(label="PGD", x=(0.0, 0.3), y=(0.1 + 0.2, None)),))]


def test_png_svg_and_csv_are_written_and_the_numbers_come_back_exactly(tmp_path: Path) -> None:
    data = curves_data(PANELS)
    # A stem with a dot is kept whole, and its folder is made.
    saved = save(curves(PANELS, x_label="", y_label=""), data, tmp_path / "new" / "fig4_eps0.3")
    assert saved.png.name == "fig4_eps0.3.png"
    assert saved.png.read_bytes().startswith(b"\x89PNG")
    assert "<svg" in saved.svg.read_text()
    rows = list(csv.DictReader(saved.csv.read_text().splitlines()))
    assert [float(row["x"]) for row in rows] == [0.0, 0.3]
    assert [row["y"] for row in rows] == [repr(0.1 + 0.2), ""]


def test_equal_figures_give_equal_bytes(tmp_path: Path) -> None:
    first = save(curves(PANELS, x_label="ε", y_label="a"), curves_data(PANELS), tmp_path / "one")
    again = save(curves(PANELS, x_label="ε", y_label="a"), curves_data(PANELS), tmp_path / "two")
    for one, two in ((first.png, again.png), (first.svg, again.svg), (first.csv, again.csv)):
        assert one.read_bytes() == two.read_bytes()
    assert "<dc:date>" not in first.svg.read_text()


def test_equal_images_give_equal_svg(tmp_path: Path) -> None:
    tile = Tile(pixels=random.default_rng(0).random((8, 8, 3)))
    one, two = (save(images([[tile]]), [], tmp_path / name).svg.read_bytes() for name in ("one", "two"))
    assert one == two


def test_settings_of_matplotlib_are_as_before(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    save(curves(PANELS, x_label="", y_label=""), curves_data(PANELS), tmp_path / "f")
    assert dict(mpl.rcParams) == before


def test_pyplot_is_never_imported() -> None:
    code = "import sys, medrobust_leaderboard.figures; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
