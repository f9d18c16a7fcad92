"""Counts of images in tables; curves over confidence, steps and training images; images that an attack broke."""

from __future__ import annotations

import csv
import json
from copy import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from medrobust import MedrobustError
from medrobust.api import Record, Session, measure, radii
from medrobust_leaderboard import render
from medrobust_leaderboard.figure_data import curve_panels, draw_figures, image_tiles
from medrobust_leaderboard.figure_data.tiles import wrapped
from medrobust_leaderboard.figure_specs import CurvesSpec, ImagesSpec
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import read_paper

GRID = """
[define]
two = "textures"
three = { name = "textures", classes = 3 }
net = "tiny-net"
small = { name = "tiny-net", width = 3 }
long = { name = "steps", steps = [1, 2, 4] }
kept = { name = "examples", per_class = 4 }

[[grid]]
dataset = ["@two", "@three"]
model = "@net"
attack = ["none", "@long"]
budget = ["linf:0.02", "linf:0.1"]
evaluate_on = "test"
probe = "@kept"

[[grid]]
dataset = ["@two", "@three"]
model = "@net"
evaluate_on = "train"

[[grid]]
dataset = "@two"
train_set = ["train[:25%]", "train[:50%]", "train"]
model = "@net"
attack = ["none", "@long"]
budget = "linf:0.02"
evaluate_on = "test"
seed = [0, 1]

[[grid]]
dataset = "@two"
train_set = ["train[:25%]", "train[:50%]"]
model = "@net"
evaluate_on = ["train[:25%]", "train[:50%]"]
seed = [0, 1]
"""

TABLES = """
[[table]]
id = "groups"
title = "Groups"
rows = ["dataset"]
columns = ["value"]
where = { attack = "none", train_set = "train", evaluate_on = "test", seed = "0" }
reference = "groups.csv"
value = [
    { label = "total", metric = "study_images" },
    { label = "C1", metric = "study_images_by_class", entry = 1 },
    { label = "C3", metric = "study_images_by_class", entry = 3 },
    { label = "score", metric = "accuracy" },
    { label = "C1 right", metric = "sensitivity_per_class", entry = 1 },
]
"""

FIGURES = """
[[figure]]
id = "confidence"
title = "Confidence"
caption = "Bins."
kind = "curves"
panels = ["dataset"]
series = ["attack"]
x = "confidence"
x_label = "confidence"
y_label = "%"
counts = true
where = { attack = "long[steps=4]", budget = "linf:0.02", train_set = "train", seed = "0", evaluate_on = "test" }
value = [{ metric = "asr_by_confidence" }]

[[figure]]
id = "radius"
title = "Radius"
kind = "curves"
panels = ["dataset"]
series = ["attack"]
x = "radius"
x_label = "radius"
y_label = "%"
where = { attack = "long[steps=4]", budget = "linf:0.02", train_set = "train", seed = "0", evaluate_on = "test" }
value = [{ metric = "accuracy_within" }]

[[figure]]
id = "sizes"
title = "Sizes"
kind = "curves"
panels = ["dataset"]
series = ["value"]
x = "train_images"
x_label = "images"
y_label = "%"
where = { dataset = "two", attack = "long[steps=4]", budget = "linf:0.02", evaluate_on = "test" }
value = [{ label = "success", metric = "asr" }, { label = "clean", metric = "clean_accuracy" }]

[[figure]]
id = "steps"
title = "Steps"
kind = "curves"
panels = []
series = ["dataset"]
x = "attack.steps"
x_label = "steps"
y_label = "%"
where = { attack = "long[*", budget = "linf:0.02", train_set = "train", seed = "0", evaluate_on = "test" }
value = [{ metric = "asr" }]

[[figure]]
id = "radii"
title = "Radii"
kind = "curves"
panels = ["dataset"]
series = ["attack"]
x = "eps_share"
x_label = "eps"
y_label = "%"
where = { attack = "long[steps=4]", train_set = "train", seed = "0", evaluate_on = "test" }
value = [{ metric = "asr" }]

[[figure]]
id = "growing"
title = "Growing"
kind = "images"
rows = ["dataset"]
columns = ["budget"]
show = ["clean", "adversarial"]
clean_once = true
where = { attack = "long[steps=4]", train_set = "train", seed = "0", evaluate_on = "test" }

[[figure]]
id = "pairs"
title = "Pairs"
kind = "images"
rows = ["dataset"]
show = ["clean", "adversarial"]
examples = 2
broken = true
per_line = 2
where = { attack = "long[steps=4]", budget = "linf:0.1", train_set = "train", seed = "0", evaluate_on = "test" }
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("papers") / "groups2024"
    (made / "reference").mkdir(parents=True)
    for name, text in (("grid", GRID), ("tables", TABLES), ("figures", FIGURES)):
        (made / f"{name}.toml").write_text(text)
    (made / "reference" / "groups.csv").write_text(
        "dataset,value,reference\ntwo,total,2000\ntwo,C1,900\ntwo,score,98\n"
    )
    return made


@pytest.fixture(scope="module")
def report(folder: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperReport:
    session = Session(tmp_path_factory.mktemp("run") / "store", (tiny,), workers=1)
    plan = session.plan(folder / "grid.toml")
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    return PaperReport(read_paper(folder), "", plan, session.store)


def curves(report: PaperReport, id_: str) -> CurvesSpec:
    found = next(s for s in report.paper.figures if s.id == id_)
    assert isinstance(found, CurvesSpec)
    return found


def pictures(report: PaperReport, id_: str) -> ImagesSpec:
    found = next(s for s in report.paper.figures if s.id == id_)
    assert isinstance(found, ImagesSpec)
    return found


def record(report: PaperReport, **labels: str) -> Record:
    wanted = {"evaluate_on": "test", "train_set": "train", "seed": "0", **labels}
    cells = {s.cell for s in report.rows if s.cell and all(s.row[a] == v for a, v in wanted.items())}
    ((_, found),) = report.store.records(cells)
    return found


def test_images_are_counted_in_total_and_by_class_from_what_the_store_describes(report: PaperReport) -> None:
    (spec,) = report.paper.tables
    table = report.table(spec)
    total, first = table.cell(("two",), ("total",)), table.cell(("two",), ("C1",))
    # 40 training and 24 test images (tests/tiny.py).
    assert (total.value, total.unit, total.reference, total.state) == (64, "count", 2000, "off")
    parts = report.store.rows("parts").drop_duplicates(["part", "class"])
    by_class = {c: int(parts[(parts["class"] == c) & (parts["slice"] == "train")]["images"].max()) for c in ("a", "b")}
    assert total.note.startswith("C1 a, C2 b; 40 trained on, 24 evaluated on")
    assert first.value is not None
    assert first.value > by_class["a"] / 2
    score = table.cell(("two",), ("score",))
    assert (score.unit, score.reference) == (None, 0.98)
    assert score.value == measure("accuracy", record(report, dataset="two", attack="none")).scalar


def test_a_class_that_a_data_set_lacks_has_no_cell(report: PaperReport) -> None:
    (spec,) = report.paper.tables
    table = report.table(spec)
    assert (("two",), ("C3",)) not in table.cells
    assert table.cell(("three",), ("C3",)).value
    thirds = [table.cell(("three",), (c,)).value for c in ("C1", "C3")]
    assert sum(filter(None, thirds)) < 64
    right = measure("sensitivity_per_class", record(report, dataset="three", attack="none")).at(0)
    assert table.cell(("three",), ("C1 right",)).value == right.scalar


def test_counts_are_written_as_such_beside_percent(report: PaperReport) -> None:
    (spec,) = report.paper.tables
    text = render.to_markdown(report.table(spec))
    assert "| two | 64<br>paper 2,000 −1,936" in text
    assert "paper 98.0" in text
    assert "Each cell, in percent or as a number: ours" in text


@pytest.mark.long
def test_without_a_description_of_the_training_images_the_count_is_missing_and_says_why(
    folder: Path, tiny: Path, tmp_path: Path
) -> None:
    (tmp_path / "grid.toml").write_text(
        '[define]\nthree = { name = "textures", classes = 3 }\n[[grid]]\ndataset = "@three"\nmodel = "tiny-net"\n'
    )
    session = Session(tmp_path / "store", (tiny,), workers=1)
    plan = session.plan(tmp_path / "grid.toml")
    assert session.run(plan).complete
    found = PaperReport(read_paper(folder), "", plan, session.store)
    cell = found.table(found.paper.tables[0]).cell(("three",), ("total",))
    assert (cell.value, cell.state) == (None, "missing")
    assert "evaluate on the training slice too" in cell.note


def test_a_count_by_a_wrong_name_is_an_error_that_suggests(report: PaperReport) -> None:
    (spec,) = report.paper.tables
    wrong = replace(spec, value=[replace(spec.value[0], metric="image")])
    with pytest.raises(MedrobustError, match="no metric is called 'image'"):
        report.table(wrong)


def test_confidence_bins_have_counts_intervals_and_gaps(report: PaperReport) -> None:
    two, three = curve_panels(report, curves(report, "confidence"))
    for panel in (two, three):
        (series,) = panel.series
        found = measure(
            "asr_by_confidence", record(report, dataset=panel.title, attack="long[steps=4]", budget="linf:0.02")
        )
        assert series.x == tuple(round(0.525 + 0.05 * n, 3) for n in range(10))
        assert series.y == tuple(value.scalar for _, value in found.entries())
        assert series.n == tuple(value.n for _, value in found.entries())
        assert sum(series.n) == found.n
        for y, low, high, n in zip(series.y, series.low, series.high, series.n, strict=True):
            assert (y is None) == (n == 0)
            if y is not None and low is not None and high is not None:
                assert low <= y <= high


def test_bins_without_images_and_images_without_a_bin_are_counted_in_the_caption(
    report: PaperReport, tmp_path: Path
) -> None:
    spec = curves(report, "confidence")
    drawn = copy(report)
    drawn.paper = replace(report.paper, figures=(spec,))
    (figure,) = draw_figures(drawn, tmp_path)
    assert figure.saved is not None
    clean = record(report, dataset="three", attack="none")
    p = np.exp(clean.clean - clean.clean.max(axis=1, keepdims=True))
    below = int(((p / p.sum(axis=1, keepdims=True)).max(axis=1) < 0.5).sum())
    empty = sum(n == 0 for n in curve_panels(report, spec)[1].series[0].n)
    assert figure.spec.caption.startswith("Bins. ")
    if below:
        assert f"three, long[steps=4]: {below} of 24 images with confidence below 0.5 left out" in figure.spec.caption
    if empty:
        assert f"{empty} of 10 bins without an image that is correct when clean" in figure.spec.caption
    assert below + empty > 0
    with figure.saved.csv.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 20
    assert [int(r["n"]) for r in rows[:10]] == list(curve_panels(report, spec)[0].series[0].n)


def test_a_curve_over_training_images_has_nested_slices_and_all_seeds(report: PaperReport) -> None:
    (panel,) = curve_panels(report, curves(report, "sizes"))
    success, clean = panel.series
    assert success.x == clean.x
    assert success.x[-1] == 40
    assert list(success.x) == sorted(set(success.x))
    assert len(success.x) == 3
    two = [
        measure("asr", record(report, dataset="two", attack="long[steps=4]", budget="linf:0.02", seed=seed)).scalar
        for seed in ("0", "1")
    ]
    assert success.y[-1] == pytest.approx(np.mean([y for y in two if y is not None]))


def test_a_curve_over_steps_is_one_run(report: PaperReport) -> None:
    (panel,) = curve_panels(report, curves(report, "steps"))
    assert [(s.label, s.x) for s in panel.series] == [("two", (1.0, 2.0, 4.0)), ("three", (1.0, 2.0, 4.0))]


def test_a_curve_over_the_radius_goes_through_all_of_them(report: PaperReport) -> None:
    series = next(p for p in curve_panels(report, curves(report, "radius")) if p.title == "two").series[0]
    assert list(series.x) == [round(float(radius) * 255, 6) for radius in radii("linf")]
    found = record(report, dataset="two", attack="long[steps=4]", budget="linf:0.02", train_set="train", seed="0")
    beyond = [y for x, y in zip(series.x, series.y, strict=True) if x >= 0.02 * 255]
    assert set(beyond) == {measure("accuracy", found).scalar}, "beyond its radius an attack says no more"
    below = [y for x, y in zip(series.x, series.y, strict=True) if x < 0.02 * 255]
    assert below[0] == measure("clean_accuracy", found).scalar
    assert sorted(below, reverse=True) == below


def test_radii_as_shares_of_the_range(report: PaperReport) -> None:
    for panel in curve_panels(report, curves(report, "radii")):
        assert panel.series[0].x == (0.02, 0.1)


def test_the_original_stands_first_in_its_line(report: PaperReport) -> None:
    labels, tiles = image_tiles(report, pictures(report, "growing"))
    assert labels == ["two", "three"]
    for line in tiles:
        assert len(line) == 3
        assert all(line)
    first = [t.title for t in tiles[0] if t]
    assert first == ["clean", "linf:0.02", "linf:0.1"]
    original, small, large = (t.pixels for t in tiles[0] if t)
    assert 0 < np.abs(small - original).max() <= 0.02 + 1e-6
    assert np.abs(large - original).max() > 0.03


def test_broken_pairs_are_right_when_clean_and_wrong_after_and_of_different_classes(report: PaperReport) -> None:
    spec = pictures(report, "pairs")
    labels, tiles = image_tiles(report, spec)
    assert tiles
    for line in tiles:
        clean, adversarial = line
        assert clean is not None
        assert adversarial is not None
        assert clean.caption != adversarial.caption
    for group in ("two", "three"):
        shown = [line[0].caption for label, line in zip(labels, tiles, strict=True) if label == group and line[0]]
        found = record(report, dataset=group, attack="long[steps=4]", budget="linf:0.1")
        assert found.labels is not None
        right, wrong = (each.argmax(1) == found.labels for each in (found.clean, found.adversarial))
        first = np.concatenate([np.flatnonzero(found.labels == c)[:4] for c in np.unique(found.labels)])
        classes = {int(found.labels[i]) for i in first if right[i] and not wrong[i]}
        assert len(set(shown)) == min(len(classes), len(shown), 2)
    _, lines = wrapped(labels, tiles, 2)
    assert len(lines) == -(-len(tiles) // 2)
    assert next(t.title for t in lines[0] if t) == labels[0]


@pytest.mark.long
def test_every_figure_is_drawn_and_the_hash_of_what_it_shows_kept(report: PaperReport, tmp_path: Path) -> None:
    drawn = draw_figures(report, tmp_path)
    assert [d.absent for d in drawn] == [""] * 7
    assert set(json.loads((tmp_path / "figures.json").read_text())) == {s.id for s in report.paper.figures}
    before = {f: f.stat().st_mtime_ns for f in tmp_path.glob("*.png")}
    draw_figures(report, tmp_path)
    assert {f: f.stat().st_mtime_ns for f in tmp_path.glob("*.png")} == before
