"""Figures of a paper: controls, curves that begin with the clean record, matrices, images, and when they are drawn."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from medrobust_leaderboard.figure_data import bar_panels, confusion_matrices, curve_panels, draw_figures, image_tiles
from medrobust_leaderboard.figure_specs import BarsSpec, ConfusionSpec, CurvesSpec, ImagesSpec
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.selection import Numbers
from medrobust_leaderboard.views import Rule

from .reading import rate, records, spec


def test_controls_are_dashed_and_follow_their_series(report: PaperReport) -> None:
    given = spec(report, "sweep")
    assert isinstance(given, CurvesSpec)
    (panel,) = curve_panels(report, given)
    assert [(s.label, s.style, s.like) for s in panel.series] == [
        ("test, uap", "line", ""),
        ("test, control", "control", "test, uap"),
        ("val, uap", "line", ""),
        ("val, control", "control", "val, uap"),
    ]
    assert panel.series[0].x == (8.0, 16.0)
    assert panel.series[0].y[1] == rate(report, attack="uap", budget="linf:16/255", evaluate_on="test")


@pytest.mark.parametrize(("panels", "series"), [("dataset", "attack"), ("attack", "dataset")])
def test_every_curve_of_an_attack_begins_with_the_clean_record(report: PaperReport, panels: str, series: str) -> None:
    given = spec(report, "rounds")
    assert isinstance(given, CurvesSpec)
    where = {"attack": ["none", "uap", "control"], "defense": "none", "evaluate_on": "test"}
    changed = replace(given, panels=[panels], series=[series], x="eps", where=where, value=[Rule("fooling_rate")])
    report = copy(report)
    report.numbers = Numbers(report.store, [(s.cell, "fooling_rate") for s in report.rows if s.cell])
    found = curve_panels(report, changed)
    titles = [panel.title for panel in found] if panels == "attack" else [s.label for s in found[0].series]
    assert titles == ["uap", "control"]
    for curve in (s for panel in found for s in panel.series):
        assert (curve.x, curve.y[0]) == ((0.0, 8.0, 16.0), 0.0)
    # Where clean records are not asked for, curves begin with the smallest radius, or with what is so by definition.
    bare = replace(changed, where={**where, "attack": ["uap"]})
    ((curve,),) = [panel.series for panel in curve_panels(report, bare)]
    assert curve.x == (8.0, 16.0)
    ((from_origin,),) = [panel.series for panel in curve_panels(report, replace(bare, origin=0.5))]
    assert (from_origin.x, from_origin.y) == ((0.0, 8.0, 16.0), (0.5, *curve.y))
    assert (from_origin.low[0], from_origin.high[0]) == (None, None)


def test_iterations_begin_at_zero_with_the_model_as_it_was(report: PaperReport) -> None:
    given = spec(report, "rounds")
    assert isinstance(given, CurvesSpec)
    (panel,) = curve_panels(report, given)
    assert [(s.label, s.x) for s in panel.series] == [("R_f", (0.0, 1.0, 2.0)), ("accuracy", (0.0, 1.0, 2.0))]
    assert panel.series[0].y[0] == rate(report, attack="uap", budget="linf:16/255", evaluate_on="test")


def test_bars_have_their_control(report: PaperReport) -> None:
    given = spec(report, "bars")
    assert isinstance(given, BarsSpec)
    (panel,) = bar_panels(report, given)
    assert panel.groups == ("linf:8/255", "linf:16/255")
    test = panel.series[0]
    assert test.control[0] == rate(report, attack="control", budget="linf:8/255", evaluate_on="test")


def test_a_matrix_has_the_shares_of_each_class(report: PaperReport) -> None:
    given = spec(report, "matrix")
    assert isinstance(given, ConfusionSpec)
    small, large = confusion_matrices(report, given)
    assert small.title == "linf:8/255"
    assert large.rows == ("a", "b", "c")
    for row in large.values:
        assert sum(row) == pytest.approx(1.0)


def test_examples_show_what_the_record_says(report: PaperReport) -> None:
    given = spec(report, "examples")
    assert isinstance(given, ImagesSpec)
    labels, tiles = image_tiles(report, given)
    assert labels == ["linf:8/255", "", "linf:16/255", ""]
    assert [[t.title for t in row if t] for row in tiles[:2]] == [["clean", "perturbation", "adversarial"], [""] * 3]
    (record,) = records(report, attack="uap", budget="linf:8/255", evaluate_on="test", defense="none")
    first = tiles[0]
    assert first[0] is not None
    assert first[2] is not None
    assert first[0].caption == "abc"[int(record.clean[0].argmax())]
    assert first[2].caption == "abc"[int(record.adversarial[0].argmax())]
    assert abs(first[2].pixels - first[0].pixels).max() == pytest.approx(8 / 255, abs=1e-6)


def test_the_clean_image_can_stand_once(report: PaperReport) -> None:
    given = spec(report, "radii")
    assert isinstance(given, ImagesSpec)
    labels, (row,) = image_tiles(report, given)
    assert labels == ["uap"]
    assert [tile.title for tile in row if tile] == ["clean", "linf:8/255", "linf:16/255"]
    clean, *attacked = (tile.pixels for tile in row if tile)
    assert [abs(pixels - clean).max() for pixels in attacked] == pytest.approx([8 / 255, 16 / 255], abs=1e-6)


def test_perturbations_stand_by_attack_and_budget(report: PaperReport) -> None:
    given = spec(report, "perturbations")
    assert isinstance(given, ImagesSpec)
    labels, tiles = image_tiles(report, given)
    assert labels == ["uap", "uap-long"]
    assert [[t is not None for t in row] for row in tiles] == [[True, True], [False, True]]
    assert tiles[0][0] is not None
    assert abs(tiles[0][0].pixels).max() == pytest.approx(8 / 255, abs=1e-6)


@pytest.mark.long
def test_every_figure_is_written_or_says_why_not(report: PaperReport, tmp_path: Path) -> None:
    drawn = draw_figures(report, tmp_path)
    assert [d.spec.id for d in drawn if d.saved is None] == ["nothing"]
    assert next(d.absent for d in drawn if d.saved is None) == "no records of what it shows"
    for each in drawn:
        if each.saved:
            with Image.open(each.saved.png) as image:
                assert min(image.size) > 100
            assert each.saved.csv.read_text(encoding="utf-8").count("\n") > 1


@pytest.mark.long
def test_a_figure_that_shows_the_same_is_left_as_it_is(report: PaperReport, tmp_path: Path) -> None:
    drawn = draw_figures(report, tmp_path)
    saved = next(d.saved for d in drawn if d.spec.id == "bars")
    assert saved is not None
    saved.png.write_bytes(b"untouched")
    draw_figures(report, tmp_path)
    assert saved.png.read_bytes() == b"untouched"
    saved.svg.unlink()
    draw_figures(report, tmp_path)
    assert saved.png.read_bytes() != b"untouched"
    saved.png.write_bytes(b"old")
    keys = json.loads((tmp_path / "figures.json").read_text())
    (tmp_path / "figures.json").write_text(json.dumps({**keys, "bars": "of other numbers"}))
    draw_figures(report, tmp_path)
    assert saved.png.read_bytes() != b"old"
