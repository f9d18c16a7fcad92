"""Figures of a judgement."""

from __future__ import annotations

from pathlib import Path

from medrobust.api import Judgement, Result

from ..figures import (
    CurvePanel,
    SavedFigure,
    Series,
    Triptych,
    curves,
    curves_data,
    images_data,
    save,
    triptych,
    triptych_tiles,
)


def curves_of(judgement: Judgement, stem: Path) -> SavedFigure:
    """The share of decisions that stay, over the largest change of a pixel in grey levels."""
    results = [r for r in judgement.results if r.norm == "linf"]
    series = tuple(
        _series(title, sorted((r for r in results if r.title == title), key=lambda r: r.eps))
        for title in dict.fromkeys(r.title for r in results)
    )
    panels = [CurvePanel(title="", series=series)]
    what = "right decisions that stay (%)" if judgement.clean else "decisions that stay (%)"
    figure = curves(
        panels,
        x_label="largest change of a pixel, in grey levels of 255",
        y_label=what,
        x_scale="even",
        panel_size=(5.2, 3.0),
        columns=1,
    )
    return save(figure, curves_data(panels), stem)


def _series(title: str, results: list[Result]) -> Series:
    known = all(r.kept.low is not None for r in results)
    return Series(
        label=title,
        x=tuple(round(r.eps * 255, 4) for r in results),
        y=tuple(r.kept.value for r in results),
        low=tuple(r.kept.low for r in results) if known else (),
        high=tuple(r.kept.high for r in results) if known else (),
        n=tuple(r.kept.n for r in results),
        style="control" if results[0].kind == "control" else "line",
    )


def pictures_of(judgement: Judgement, stem: Path) -> SavedFigure:
    """Telling images: clean, what was added, perturbed."""
    examples = [
        Triptych(
            clean=p.clean,
            adversarial=p.adversarial,
            clean_caption=p.before,
            adversarial_caption=p.after,
            perturbation_caption=p.change,
        )
        for p in judgement.pictures
    ]
    return save(triptych(examples, tile_size=1.5), images_data(triptych_tiles(examples)), stem)
