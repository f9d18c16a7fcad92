"""Tables and figures from a small run: brackets, classes as an axis, merged rows, controls, matrices and images."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from medrobust import MedrobustError
from medrobust.api import Record, Session, measure
from medrobust_leaderboard.figure_data import bar_panels, confusion_matrices, curve_panels, draw_figures, image_tiles
from medrobust_leaderboard.render import to_markdown
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.selection import Numbers
from medrobust_leaderboard.specs import BarsSpec, ConfusionSpec, CurvesSpec, ImagesSpec, Rule, TableSpec, read_paper

GRID = """
[define]
scans = { name = "textures", classes = 3 }
net = "tiny-net"
uap = "one-for-all"
uap-long = { name = "one-for-all", passes = 2 }
control = "hum"
drilled = { name = "drilled", rounds = [1, 2] }

[[grid]]
dataset = "@scans"
model = "@net"
attack = ["none", "@uap", "@control"]
budget = ["linf:8/255", "linf:16/255"]
evaluate_on = ["test", "val"]
probe = "examples"

[[grid]]
dataset = "@scans"
model = "@net"
attack = "@uap-long"
budget = "linf:16/255"

[[grid]]
dataset = "@scans"
model = "@net"
defense = ["none", "@drilled"]
attack = ["none", "@uap"]
budget = "linf:16/255"
"""

TABLES = """
[[table]]
id = "rates"
title = "Rates"
rows = ["attack"]
columns = ["budget"]
where = { attack = ["uap", "uap-long"], defense = "none", evaluate_on = "test" }
names = { attack = { uap-long = "long" } }
bracket = { with = { attack = "control" } }
reference = "rates.csv"
value = [{ metric = "fooling_rate" }]

[[table]]
id = "fractions"
title = "Fractions"
rows = ["attack"]
columns = ["budget"]
where = { attack = ["uap", "uap-long"], defense = "none", evaluate_on = "test" }
bracket = { metric = "accuracy", label = "accuracy", unit = "percent", decimals = 0 }
reference = "fractions.csv"
value = [{ metric = "fooling_rate" }]
unit = "fraction"
decimals = 3

[[table]]
id = "shares"
title = "Shares"
rows = ["class"]
columns = ["attack"]
where = { attack = ["none", "uap"], budget = "linf:16/255", defense = "none", evaluate_on = "test" }
value = [{ metric = "predicted_share" }]

[[table]]
id = "merged"
title = "Merged"
rows = ["attack"]
columns = ["budget"]
where = [
    { attack = "uap", budget = "linf:8/255", defense = "none", evaluate_on = "test" },
    { attack = "uap-long", budget = "linf:16/255" },
]
names = { attack = { uap = "UAP", uap-long = "UAP" } }
value = [{ metric = "fooling_rate" }]
"""

FIGURES = """
[[figure]]
id = "sweep"
title = "Sweep"
kind = "curves"
panels = ["dataset"]
series = ["evaluate_on", "attack"]
x = "eps"
x_label = "eps"
y_label = "R_f"
where = { attack = ["uap", "control"], defense = "none", evaluate_on = ["test", "val"] }
control = { attack = "control" }
value = [{ metric = "fooling_rate" }]

[[figure]]
id = "rounds"
title = "Rounds"
kind = "curves"
panels = ["dataset"]
series = ["value"]
x = "defense.rounds"
x_label = "rounds"
y_label = "%"
where = { attack = ["none", "uap"], evaluate_on = "test", budget = "linf:16/255" }
value = [
    { label = "R_f", metric = "fooling_rate", where = { attack = "uap" } },
    { label = "accuracy", metric = "accuracy", where = { attack = "none" } },
]

[[figure]]
id = "bars"
title = "Bars"
kind = "bars"
panels = ["dataset"]
groups = ["budget"]
series = ["evaluate_on"]
y_label = "R_f"
where = { attack = "uap", defense = "none" }
control = { attack = "control" }
value = [{ metric = "fooling_rate" }]

[[figure]]
id = "matrix"
title = "Matrix"
kind = "confusion"
panels = ["budget"]
where = { attack = "uap", defense = "none", evaluate_on = "test" }

[[figure]]
id = "examples"
title = "Examples"
kind = "images"
rows = ["budget"]
examples = 2
where = { attack = "uap", defense = "none", evaluate_on = "test" }

[[figure]]
id = "radii"
title = "Radii"
kind = "images"
rows = ["attack"]
columns = ["budget"]
show = ["clean", "adversarial"]
clean_once = true
where = { attack = "uap", defense = "none", evaluate_on = "test" }

[[figure]]
id = "perturbations"
title = "Perturbations"
kind = "images"
rows = ["attack"]
columns = ["budget"]
show = ["perturbation"]
where = { attack = ["uap", "uap-long"], defense = "none", evaluate_on = "test" }

[[figure]]
id = "nothing"
title = "Nothing"
kind = "confusion"
panels = ["budget"]
where = { attack = "absent" }
"""

PAPER = """
title = "A paper"
citation = "Nobody, 2024"
question = "Does it work?"
[profiles.smoke]
description = "small"
substitutions = [{ axis = "attack", label = "uap*", paper = "theirs", here = "ours" }]
departures = ["The rate falls by a cosine.", "One seed."]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("papers") / "paper2024"
    (made / "reference").mkdir(parents=True)
    (made / "grid.toml").write_text(GRID + "\n[profile.smoke.define]\n")
    (made / "tables.toml").write_text(TABLES)
    (made / "figures.toml").write_text(FIGURES)
    (made / "paper.toml").write_text(PAPER)
    (made / "reference" / "rates.csv").write_text(
        "attack,budget,reference,bracket\nuap,linf:8/255,50.0,3.5\nuap-long,linf:8/255,60.0,\n"
    )
    (made / "reference" / "fractions.csv").write_text("attack,budget,reference,bracket\nuap,linf:8/255,0.5,35\n")
    return made


@pytest.fixture(scope="module")
def report(folder: Path, tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperReport:
    session = Session(tmp_path_factory.mktemp("run") / "store", (tiny,), workers=1)
    plan = session.plan(folder / "grid.toml", profile="smoke")
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    return PaperReport(read_paper(folder), "smoke", plan, session.store)


def records(report: PaperReport, **labels: str) -> list[Record]:
    cells = [s.cell for s in report.rows if s.cell and all(s.row[a] == v for a, v in labels.items())]
    return [r for _, r in report.store.records(dict.fromkeys(cells))]


def spec(report: PaperReport, id_: str) -> object:
    return next(s for s in (*report.paper.tables, *report.paper.figures) if s.id == id_)


def rate(report: PaperReport, **labels: str) -> float:
    (record,) = records(report, defense="none", **labels)
    value = measure("fooling_rate", record).scalar
    assert value is not None
    return value


def test_every_table_says_that_its_profile_departs_from_the_paper(report: PaperReport) -> None:
    for table in report.tables():
        assert "This profile departs from the paper in 2 points: see departures in paper.toml." in table.notes


def test_a_number_in_brackets_is_the_control_of_the_same_labels(report: PaperReport) -> None:
    table = report.table(spec(report, "rates"))  # type: ignore[arg-type]
    cell = table.cell(("uap",), ("linf:8/255",))
    assert cell.value == rate(report, attack="uap", budget="linf:8/255", evaluate_on="test")
    assert cell.bracket == rate(report, attack="control", budget="linf:8/255", evaluate_on="test")
    assert (cell.reference, cell.reference_bracket, cell.state) == (0.5, 0.035, "substituted")
    missing = table.cell(("long",), ("linf:8/255",))
    assert (missing.value, missing.reference, missing.state) == (None, 0.6, "missing")
    found = next(s for s in report.rows if s.cell and s.row["attack"] == "uap" and s.row["budget"] == "linf:8/255")
    assert (cell.facts["attack"], cell.facts["metric"], cell.facts["seeds"]) == ("uap", "fooling_rate", "0")
    assert cell.facts["cells"] == found.cell


def test_a_number_in_brackets_can_have_a_unit_of_its_own(report: PaperReport) -> None:
    table = report.table(spec(report, "fractions"))  # type: ignore[arg-type]
    cell = table.cell(("uap",), ("linf:8/255",))
    assert (cell.reference, cell.reference_bracket) == (0.5, 0.35)
    (record,) = records(report, attack="uap", budget="linf:8/255", evaluate_on="test", defense="none")
    assert cell.bracket == measure("accuracy", record).scalar
    text = to_markdown(table)
    assert f"{cell.value:.3f} ({100 * cell.bracket:.0f} %)" in text
    assert "paper 0.500 (35 %)" in text
    assert "(in brackets accuracy, in percent)" in text


def test_a_metric_per_class_has_a_row_for_each_class(report: PaperReport) -> None:
    table = report.table(spec(report, "shares"))  # type: ignore[arg-type]
    assert table.rows == (("a",), ("b",), ("c",))
    shares = [table.cell(row, ("uap",)).value for row in table.rows]
    (record,) = records(report, attack="uap", budget="linf:16/255", evaluate_on="test", defense="none")
    assert shares == pytest.approx([float((record.adversarial.argmax(1) == i).mean()) for i in range(3)])


def test_labels_of_one_name_share_a_row(report: PaperReport) -> None:
    table = report.table(spec(report, "merged"))  # type: ignore[arg-type]
    assert table.rows == (("UAP",),)
    assert [table.cell(("UAP",), c).value is not None for c in table.columns] == [True, True]
    both = report.table(spec(report, "rates"))  # type: ignore[arg-type]
    assert both.rows == (("uap",), ("long",))


def test_cells_of_equal_labels_are_never_averaged(
    report: PaperReport, folder: Path, tiny: Path, tmp_path: Path
) -> None:
    both = tmp_path / "grid.toml"
    block = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:8/255"\n'
    both.write_text(block + "threads = 1\n" + block + "threads = 2\n[profile.smoke.define]\n")
    session = Session(tmp_path / "store", (tiny,), workers=1)
    twice = PaperReport(read_paper(folder), "smoke", session.plan(both, profile="smoke"), session.store)
    spec = TableSpec(id="t", title="", rows=["attack"], columns=["budget"], value=[Rule(metric="accuracy")])
    with pytest.raises(MedrobustError, match=r"t: cells of equal labels differ \(threads=1 and threads=2\)"):
        twice.table(spec)


def test_two_cells_of_one_name_are_an_error(report: PaperReport) -> None:
    given = spec(report, "merged")
    assert isinstance(given, TableSpec)
    where = {"attack": ["uap", "uap-long"], "budget": "linf:16/255", "defense": "none", "evaluate_on": "test"}
    wrong = TableSpec(
        id="twice", title="", rows=["attack"], columns=["budget"], value=given.value, where=where, names=given.names
    )
    with pytest.raises(MedrobustError, match="paper2024 twice: two cells are both called UAP, linf:16/255"):
        report.table(wrong)


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


def test_every_figure_is_written_or_says_why_not(report: PaperReport, tmp_path: Path) -> None:
    drawn = draw_figures(report, tmp_path)
    assert [d.spec.id for d in drawn if d.saved is None] == ["nothing"]
    assert next(d.absent for d in drawn if d.saved is None) == "no records of what it shows"
    for each in drawn:
        if each.saved:
            with Image.open(each.saved.png) as image:
                assert min(image.size) > 100
            assert each.saved.csv.read_text(encoding="utf-8").count("\n") > 1


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
