"""Tables of a paper: brackets, classes as an axis, merged rows, departures, detectors."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import MedrobustError
from medrobust.api import Session, measure
from medrobust_leaderboard.render import to_markdown
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import TableSpec
from medrobust_leaderboard.views import Rule

from .reading import rate, records, spec


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


def test_cells_of_equal_labels_are_never_averaged(report: PaperReport, tiny: Path, tmp_path: Path) -> None:
    both = tmp_path / "grid.toml"
    block = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:8/255"\n'
    both.write_text(block + "threads = 1\n" + block + "threads = 2\n[profile.smoke.define]\n")
    session = Session(tmp_path / "store", (tiny,), workers=1)
    twice = PaperReport(report.paper, "smoke", session.plan(both, profile="smoke"), session.store)
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


def test_a_column_may_be_about_other_cells_than_its_neighbour(report: PaperReport) -> None:
    made = report.table(next(t for t in report.paper.tables if t.id == "sizes"))
    assert made.unit == "count"
    assert [made.cells[("scans",), (column,)].value for column in ("classes", "test", "val")] == [3, 24, 16]


def test_detectors_have_tables_of_their_own_and_are_in_no_others(report: PaperReport) -> None:
    made = report.table(next(t for t in report.paper.tables if t.id == "detected"))
    assert made.rows == (("distance<same",), ("distance<same on test",))
    labels = {"attack": "uap", "budget": "linf:16/255"}
    (record,) = records(report, **labels, detector="distance<same on test")
    found = made.cells[("distance<same on test",), ("linf:16/255",)]
    assert found.value == measure("detection_auc", record).scalar
    assert found.note.startswith("scored on images that it was fitted on")
    assert made.cells[("distance<same",), ("linf:16/255",)].note == ""
    rates = report.table(next(t for t in report.paper.tables if t.id == "rates"))
    plain = rate(report, **labels, evaluate_on="test")
    assert rates.cells[("uap",), ("linf:16/255",)].value == plain
