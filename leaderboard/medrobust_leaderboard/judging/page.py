"""A judgement as one self-contained HTML page, with its figures."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Final

from medrobust import __version__
from medrobust.api import Judgement, human_time

from ..page import OUTCOMES, PageFigure, data_url, environment, page_figure, tally
from .tables import rows_of

FILE: Final = "index.html"


def write_judgement(judgement: Judgement, folder: Path | str) -> Path:
    """Write the page of a judgement into a folder; returns the file.

    It fetches nothing and runs no script. It names no path, no image and no patient, and has no picture of an image
    unless the judgement was asked to keep some.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    file = target / FILE
    file.write_text(page_of(judgement), encoding="utf-8")
    return file


def page_of(judgement: Judgement) -> str:
    """The page as one string of HTML."""
    columns, rows = rows_of(judgement.results)
    checks = [{"check": name, "outcome": outcome, "tone": OUTCOMES[outcome]} for name, outcome in judgement.checks]
    return (
        environment()
        .get_template("judgement.html")
        .render(
            title=f"{judgement.model} on {judgement.data}",
            judgement=judgement,
            columns=columns,
            rows=rows,
            figures=[(f, data_url("image/svg+xml", f.svg), data_url("text/csv", f.csv)) for f in figures_of(judgement)],
            checks=checks,
            check_counts=tally(checks, "outcome", OUTCOMES),
            of="right decisions" if judgement.clean else "decisions",
            took=human_time(judgement.seconds),
            processor=human_time(judgement.cpu_seconds),
            version=__version__,
        )
    )


def figures_of(judgement: Judgement) -> list[PageFigure]:
    """What is drawn: the decisions that stay over the size of the change, and telling images where there are any."""
    # Drawing brings matplotlib along, which takes long to import.
    from .figures import curves_of, pictures_of

    with tempfile.TemporaryDirectory() as folder:
        drawn: list[PageFigure] = []
        if any(r.norm == "linf" for r in judgement.results):
            saved = curves_of(judgement, Path(folder) / "curves")
            caption = "Bands are 95 % intervals; a dashed line is a control; an attack at one size only is a point."
            drawn.append(
                page_figure(saved, id="curves", title="How much stays, by the size of the change.", caption=caption)
            )
        if judgement.pictures:
            saved = pictures_of(judgement, Path(folder) / "pictures")
            caption = (
                "Images that the smallest sufficient change breaks, the surest decisions first. The perturbation is "
                "scaled to be seen: black is its least value and white its greatest."
            )
            drawn.append(page_figure(saved, id="pictures", title="Telling images.", caption=caption))
        return drawn
