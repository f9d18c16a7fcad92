"""A cell that a grid names in several ways: a column for each name, and never more than one cell in a mean or claim."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust.api import Session, mean_of, measure
from medrobust_leaderboard.claims import BoundClaim, ComparisonClaim, Finding, TrendClaim, verdicts_on
from medrobust_leaderboard.figure_data import curve_panels
from medrobust_leaderboard.figure_specs import CurvesSpec
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import TableSpec, read_paper
from medrobust_leaderboard.views import Rule

SPELLINGS = ("linf:0.16@[-1,1]", "linf:0.08", "linf:20.4@[0,255]")
LARGER = "linf:0.2"
GRID = f"""
[[grid]]
dataset = "textures"
model = "tiny-net"
attack = ["sign", "hum", {{ name = "one-for-all" }}]
budget = {[*SPELLINGS, LARGER]}
"""
ACCURACY = [Rule("accuracy")]


@pytest.fixture(scope="module")
def report(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperReport:
    folder = tmp_path_factory.mktemp("papers") / "paper2024"
    folder.mkdir()
    (folder / "grid.toml").write_text(GRID)
    (folder / "tables.toml").write_text("")
    (folder / "paper.toml").write_text(
        'title = "A"\ncitation = "B"\nquestion = "C"\n[profiles.smoke]\ndescription = "D"\n'
    )
    session = Session(folder / "store", (tiny,), device="cpu", workers=1)
    plan = session.plan(folder / "grid.toml")
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    # Three attacks at two radii, and the clean record.
    assert len(plan.cells) == outcome.made == 3 * 2 + 1
    made = PaperReport(read_paper(folder), "smoke", plan, session.store)
    made.numbers = type(made.numbers)(session.store, [(cell, "accuracy") for cell in plan.cells])
    return made


def table(**keys: object) -> TableSpec:
    basis = {"id": "t", "title": "T", "rows": ["attack"], "columns": ["budget"], "value": ACCURACY}
    return TableSpec(**{**basis, **keys})  # type: ignore[arg-type]


def findings(report: PaperReport, claim: BoundClaim | ComparisonClaim | TrendClaim) -> Finding:
    (finding,) = verdicts_on([claim], report.rows, report.store, lambda row: [])
    return finding


def test_three_names_of_one_radius_are_three_equal_columns(report: PaperReport) -> None:
    made = report.table(table())
    assert made.columns == tuple((b,) for b in (*SPELLINGS, LARGER))
    for row in made.rows:
        values = [made.cell(row, (budget,)).value for budget in SPELLINGS]
        assert values[0] is not None
        assert values == [values[0]] * 3
    assert made.cell(("sign",), (LARGER,)).value != made.cell(("sign",), (SPELLINGS[0],)).value


def test_a_mean_counts_a_cell_once(report: PaperReport) -> None:
    made = report.table(table(columns=["model"], mean_over=["budget"], where={"attack": "sign"}))
    cells = {s.row["budget"]: s.cell for s in report.rows if s.row["attack"] == "sign"}
    records = dict(report.store.records({c for c in cells.values() if c}))
    small, large = (measure("accuracy", records[cells[b] or ""]) for b in (SPELLINGS[0], LARGER))
    assert made.cell(("sign",), ("tiny-net",)).value == pytest.approx(mean_of([small, large]).scalar)


def test_a_table_that_names_no_budget_needs_no_choice_between_names(report: PaperReport) -> None:
    made = report.table(table(columns=["model"], where={"attack": "sign", "budget": list(SPELLINGS)}))
    assert made.cell(("sign",), ("tiny-net",)).value is not None


def test_a_curve_has_one_point_for_a_radius(report: PaperReport) -> None:
    keys = {"panels": ["model"], "series": ["attack"], "x": "eps", "x_label": "", "y_label": "", "value": ACCURACY}
    (panel,) = curve_panels(report, CurvesSpec(id="f", title="F", kind="curves", **keys))  # type: ignore[arg-type]
    assert [s.x for s in panel.series] == [(0.0, 20.4, 51.0)] * 3


def test_claims_count_a_cell_once(report: PaperReport) -> None:
    basis = {"id": "c", "text": "t", "section": "s", "metric": "accuracy"}
    bound = findings(report, BoundClaim(**basis, at_least=0.0, where={"attack": "sign"}))  # type: ignore[arg-type]
    assert bound.members == 2
    sides = {"left": {"attack": "sign"}, "right": {"attack": "hum"}, "pair_on": ["budget"], "direction": "less"}
    assert findings(report, ComparisonClaim(**basis, **sides)).members == 2  # type: ignore[arg-type]
    # The sides may be spelled differently.
    apart = {**sides, "pair_on": ["model"], "right": {"attack": "hum", "budget": SPELLINGS[1]}}
    apart["left"] = {"attack": "sign", "budget": SPELLINGS[2]}
    assert findings(report, ComparisonClaim(**basis, **apart)).members == 1  # type: ignore[arg-type]
    trend = TrendClaim(
        **basis, along="eps", direction="decreasing", pair_on=["attack"], where={"attack": ["sign", "hum"]}
    )  # type: ignore[arg-type]
    assert findings(report, trend).members == 2
