"""The papers' folders: every table and figure is there, selects planned cells, and quotes values where rows stand."""

from __future__ import annotations

import csv
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path

import pytest

import medrobust_leaderboard
from medrobust.api import Plan, Session
from medrobust_leaderboard.claims import read_claims
from medrobust_leaderboard.figure_data import label_combinations
from medrobust_leaderboard.figure_specs import BarsSpec, CurvesSpec, FigureSpec, ImagesSpec
from medrobust_leaderboard.labels import agree, matches, tables
from medrobust_leaderboard.profiles import class_names
from medrobust_leaderboard.report import labels_of
from medrobust_leaderboard.selection import Selected, rows_of, spread
from medrobust_leaderboard.specs import Paper, TableSpec, read_paper

PAPERS = Path(medrobust_leaderboard.__file__).parent / "papers"

# What each paper shows, supplements included. Parts of one figure that differ in kind are figures of their own.
TABLES = {
    "ma2020": [
        *("table1", "table2", "table3", "table4", "table4-leaks", "table4-radius"),
        *("table5", "table5-unseen", "table-adaptive"),
    ],
    "hirano2021": ["table1", "table2", *(f"tableS{n}" for n in range(1, 9))],
    "minagi2022": ["table1", "table2", "accuracy", "tableS1", "tableS2", "tableS3"],
    "kovalev2019": ["table1", "readings"],
    "wetstein2020": ["table1", "table2", "table2-average", "table3"],
}
FIGURES = {
    "ma2020": ["fig1", "fig2", "fig4", "fig5", "fig6", "fig7", "fig9", "fig10", "fig11"],
    "hirano2021": [
        *("fig1a-c", "fig1d-f", "fig2", "fig3", "fig4", "fig5a-c", "fig5d-f", "fig6a-c", "fig6d-f"),
        *("figS2", "figS3a-c", "figS3d-f", *(f"figS{n}" for n in range(4, 16))),
    ],
    "minagi2022": [*(f"fig{n}" for n in range(1, 7)), *(f"figS{n}" for n in range(1, 7))],
    "kovalev2019": ["fig1", "fig2", "fig3a", "fig3b", "fig3c", "fig3d"],
    "wetstein2020": ["fig1"],
}
REFERENCES = {
    ("ma2020", "table2"): 30,
    ("ma2020", "table3"): 30,
    ("ma2020", "table1"): 21,
    ("ma2020", "table4"): 48,
    ("ma2020", "table5"): 18,
    ("hirano2021", "table1"): 42,
    ("hirano2021", "table2"): 42,
    ("minagi2022", "table1"): 72,
    ("minagi2022", "table2"): 9,
    ("minagi2022", "accuracy"): 6,
    ("kovalev2019", "table1"): 35,
    ("wetstein2020", "table1"): 45,
    ("wetstein2020", "table2"): 18,
    ("wetstein2020", "table2-average"): 6,
    ("wetstein2020", "table3"): 21,
}
NAMES = tuple(TABLES)


@cache
def paper(name: str) -> Paper:
    return read_paper(PAPERS / name)


@cache
def plan(name: str, profile: str, store: Path) -> Plan:
    return Session(store, workers=1).plan(PAPERS / name / "grid.toml", profile=profile)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Selected]]:
    store = tmp_path_factory.mktemp("none") / "store"
    return {name: rows_of(plan(name, "smoke", store)) for name in NAMES}


def specs(kind: str) -> list[tuple[str, str]]:
    return [(n, s.id) for n in NAMES for s in getattr(paper(n), kind)]


def table(name: str, id_: str) -> TableSpec:
    return next(s for s in paper(name).tables if s.id == id_)


def figure(name: str, id_: str) -> FigureSpec:
    return next(s for s in paper(name).figures if s.id == id_)


@pytest.mark.parametrize("name", NAMES)
def test_every_item_of_the_paper_is_there_once_and_in_order(name: str) -> None:
    assert [s.id for s in paper(name).tables] == TABLES[name]
    assert sorted(s.id for s in paper(name).figures) == sorted(FIGURES[name])
    assert set(paper(name).facts.profiles) == {"smoke", "small", "paper"}


@pytest.mark.parametrize(("name", "id_"), specs("tables"))
def test_every_table_selects_cells_of_the_smoke_grid(smoke: dict[str, list[Selected]], name: str, id_: str) -> None:
    spec = table(name, id_)
    chosen = [s for s in smoke[name] if s.cell and matches(s.row, spec.where)]
    for axis in ("class", "bin"):
        chosen = spread(chosen, axis) if axis in (*spec.rows, *spec.columns) else chosen
    assert chosen
    for axis in (*spec.rows, *spec.columns):
        assert labels_of(axis, spec.where, chosen, spec.value)
    if spec.bracket and spec.bracket.replace:
        assert any(all(s.row[a] == v for a, v in spec.bracket.replace.items()) for s in smoke[name])


@pytest.mark.parametrize(("name", "id_"), specs("figures"))
def test_every_figure_selects_cells_of_the_smoke_grid(smoke: dict[str, list[Selected]], name: str, id_: str) -> None:
    spec = figure(name, id_)
    chosen = [s for s in smoke[name] if s.cell and matches(s.row, spec.where)]
    assert chosen
    if isinstance(spec, ImagesSpec):
        assert label_combinations(spec.row_axes, spec, chosen)
    for name_of_probe in getattr(spec, "probes", []):
        # What is drawn of a cell is measured of it, at every place of the figure.
        measured = [s for s in chosen if any(name_of_probe in (p.label, p.offer.name) for p in s.entry.probes)]
        axes = [a for a in (*getattr(spec, "rows", []), *spec.columns) if a not in ("show", "example")]
        for each in chosen:
            assert any(agree(s.row, each.row, axes) for s in measured), each.row
    if isinstance(spec, CurvesSpec) and spec.control:
        assert any(all(s.row[a] == v for a, v in spec.control.items()) for s in chosen)
    if isinstance(spec, BarsSpec) and spec.control:
        assert any(all(s.row[a] == v for a, v in spec.control.items()) for s in smoke[name])


@pytest.mark.parametrize(("name", "id_"), [(n, i) for n, i in specs("tables") if table(n, i).reference])
def test_every_value_of_the_paper_has_a_place(smoke: dict[str, list[Selected]], name: str, id_: str) -> None:
    spec = table(name, id_)
    with (PAPERS / name / "reference" / spec.reference).open(encoding="utf-8", newline="") as stream:
        lines = list(csv.DictReader(stream))
    found = paper(name).reference(spec)
    assert len(found) == len(lines) == REFERENCES.get((name, id_), len(lines))
    chosen = [s for s in smoke[name] if matches(s.row, spec.where)]
    places = {axis: set(labels_of(axis, spec.where, chosen, spec.value)) for axis in (*spec.rows, *spec.columns)}
    strange = [
        (axis, label)
        for row, column in found
        for axis, label in zip((*spec.rows, *spec.columns), (*row, *column), strict=True)
        if label not in places[axis]
    ]
    assert strange == []


@pytest.mark.long
@pytest.mark.parametrize("profile", ["smoke", "small", "paper"])
@pytest.mark.parametrize("name", NAMES)
def test_every_substitution_names_a_label_of_the_grid(name: str, profile: str, tmp_path: Path) -> None:
    rows = [s.row for s in rows_of(plan(name, profile, tmp_path / "store"))]
    for substitution in paper(name).profile(profile).substitutions:
        assert any(fnmatchcase(row[substitution.axis], substitution.label) for row in rows), substitution


@pytest.mark.parametrize("name", NAMES)
def test_classes_that_claims_and_goals_name_are_those_of_the_substitutes(
    smoke: dict[str, list[Selected]], name: str
) -> None:
    report = paper(name)
    renamed = [s for s in report.profile("smoke").substitutions if s.classes]
    for claim in read_claims(PAPERS / name):
        for where in tables(claim.where):
            if "class" in where:
                datasets = [s for s in smoke[name] if s.entry.cell and matches(s.row, {"dataset": where["dataset"]})]
                assert datasets
                for each in datasets:
                    assert each.entry.cell is not None
                    stands = [s for s in renamed if fnmatchcase(each.row["dataset"], s.label)]
                    assert where["class"] in class_names(each.entry.cell.target.info.classes, stands), claim.id
    for substitution in renamed:
        goals = {
            s.row["goal"].removeprefix("target:"): s.entry.cell.goal.target
            for s in smoke[name]
            if s.entry.cell
            and s.entry.cell.goal
            and s.row["dataset"] == substitution.label
            and s.entry.cell.goal.target
        }
        assert goals == substitution.classes


@pytest.mark.parametrize("name", NAMES)
def test_answers_by_construction_are_those_of_claims(name: str) -> None:
    ids = {claim.id for claim in read_claims(PAPERS / name)}
    for profile in paper(name).facts.profiles.values():
        assert {*profile.by_construction, *profile.explanations} <= ids


@pytest.mark.parametrize("name", NAMES)
def test_the_full_protocol_says_which_data_it_lacks(name: str, tmp_path: Path) -> None:
    full = Session(tmp_path / "store", data_root=tmp_path, workers=1).plan(PAPERS / name / "grid.toml", profile="paper")
    reasons = {e.impossible for e in full.impossible}
    assert reasons
    assert all("http" in reason or "is not at" in reason or "is neither at" in reason for reason in reasons)
