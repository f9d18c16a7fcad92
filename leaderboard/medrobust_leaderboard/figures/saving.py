"""Writing a figure: PNG, SVG, and the plotted data as CSV beside them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from .style import drawing_style


@dataclass(frozen=True)
class SavedFigure:
    """Where a figure was written."""

    png: Path
    svg: Path
    csv: Path

    @classmethod
    def of(cls, path_stem: Path) -> SavedFigure:
        """The files of a figure at a path without a suffix."""
        # Not with_suffix: a stem such as "fig4_eps0.3" has a dot of its own.
        return cls(*(path_stem.parent / f"{path_stem.name}.{kind}" for kind in ("png", "svg", "csv")))

    @property
    def exists(self) -> bool:
        """Whether all of its files are there."""
        return self.png.exists() and self.svg.exists() and self.csv.exists()


def save(figure: Figure, data: Sequence[Mapping[str, object]], path_stem: Path | str) -> SavedFigure:
    """Write `<path_stem>.png` (200 dpi), `.svg` and `.csv`; equal figures give equal bytes.

    Args:
        data: rows with equal keys, as `curves_data` and its siblings give them; None becomes an empty field.
        path_stem: path without a suffix; its folder is made.
    """
    stem = Path(path_stem)
    stem.parent.mkdir(parents=True, exist_ok=True)
    saved = SavedFigure.of(stem)
    with drawing_style():
        figure.savefig(saved.png, dpi=200)
        # The places found for the first file serve the second; finding them takes longer than drawing.
        figure.set_layout_engine("none")
        figure.savefig(saved.svg, metadata={"Date": None})
    with saved.csv.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(data[0]) if data else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(data)
    return saved
