"""What a profile says of its substitutes reaches tables and claims: names of classes, and answers by construction."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import MedrobustError
from medrobust.api import Plan, Session, Store, measure
from medrobust_leaderboard.claims import as_facts, describe, summarize_claims
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import read_paper

GRID = """
[define]
scans = { name = "textures", classes = 3 }

[[grid]]
dataset = "@scans"
model = "tiny-net"
attack = ["none", "sign"]
budget = "linf:200/255"
"""
PAPER = """
title = "A"
citation = "B"
question = "C"

[profiles.smoke]
description = "D"
substitutions = [
  { axis = "dataset", label = "scans", paper = "X-rays", here = "noise", classes = { NORMAL = "a", PNEUMONIA = "b" } },
]
by_construction = { c2 = "the contrast of both kinds of texture is our choice" }
"""
TABLES = """
[[table]]
id = "shares"
title = "Shares"
rows = ["class"]
columns = ["attack"]
where = { attack = ["none", "sign"] }
value = [{ metric = "predicted_share" }]
"""
CLAIM = """
[[claim]]
id = "c{number}"
kind = "bound"
text = "Many are taken for one class."
section = "4"
metric = "predicted_share"
where = {{ attack = "{attack}", class = "{name}" }}
at_least = {least}
"""
CLAIMS = [("sign", "NORMAL", 0.0), ("sign", "NORMAL", 0.0), ("sign", "a", 0.0), ("none", "c", 0.0)]


def folder_of(tmp_path: Path, paper: str = PAPER) -> Path:
    claims = [CLAIM.format(number=n, attack=a, name=c, least=x) for n, (a, c, x) in enumerate(CLAIMS, 1)]
    for name, text in (("grid", GRID), ("tables", TABLES), ("paper", paper), ("claims", "".join(claims))):
        (tmp_path / f"{name}.toml").write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def ran(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Store]:
    folder = folder_of(tmp_path_factory.mktemp("paper2024"))
    session = Session(folder / "store", (tiny,), device="cpu", workers=1)
    plan = session.plan(folder / "grid.toml")
    assert session.run(plan).complete
    return plan, session.store


@pytest.fixture
def report(ran: tuple[Plan, Store], tmp_path: Path) -> PaperReport:
    return PaperReport(read_paper(folder_of(tmp_path)), "smoke", *ran)


def test_tables_call_classes_as_the_paper_does(report: PaperReport) -> None:
    (table,) = report.tables()
    assert table.rows == (("NORMAL",), ("PNEUMONIA",), ("c",))
    shares = [table.cells[row, ("none",)].value or 0.0 for row in table.rows]
    assert sum(shares) == pytest.approx(1.0)


def test_claims_call_classes_as_the_paper_does(report: PaperReport) -> None:
    normal, _, ours, third = report.claims()
    assert (normal.verdict, normal.members, normal.substituted) == ("holds", 1, True)
    assert (ours.verdict, ours.missing) == ("cannot be tested here", "class a")
    assert third.verdict == "holds"


def test_an_answer_by_construction_counts_neither_way(report: PaperReport) -> None:
    findings = report.claims()
    made = findings[1]
    assert (made.verdict, made.supported, made.members) == ("by construction", 1, 1)
    assert made.effect == findings[0].effect
    reason = "counts neither way: the contrast of both kinds of texture is our choice"
    assert reason in describe(made)
    assert as_facts(made)["construction"] == made.construction == reason.removeprefix("counts neither way: ")
    assert not any(finding.construction for finding in findings if finding is not made)
    assert summarize_claims(findings) == "4 claims: 2 hold, 1 by construction, 1 cannot be tested here"


def test_what_cannot_be_tested_is_not_by_construction(ran: tuple[Plan, Store], tmp_path: Path) -> None:
    paper = read_paper(folder_of(tmp_path, PAPER.replace("{ c2 =", "{ c3 =")))
    third = PaperReport(paper, "smoke", *ran).claims()[2]
    assert (third.verdict, third.construction) == ("cannot be tested here", "")


def test_an_explanation_is_shown_where_its_claim_does_not_hold(ran: tuple[Plan, Store], tmp_path: Path) -> None:
    explained = PAPER + 'explanations = { c1 = "it holds", c4 = "no class has more than all images" }\n'
    folder = folder_of(tmp_path, explained)
    claims = folder / "claims.toml"
    weaker = CLAIM.format(number=4, attack="none", name="c", least=0.0)
    claims.write_text(claims.read_text().replace(weaker, weaker.replace("at_least = 0.0", "at_most = 0.0")))
    findings = PaperReport(read_paper(folder), "smoke", *ran).claims()
    assert (findings[0].verdict, findings[0].explanation) == ("holds", "")
    assert findings[3].verdict in ("does not hold", "undecided")
    assert "here: no class has more than all images" in describe(findings[3])


def test_a_profile_that_names_no_claim_is_told(ran: tuple[Plan, Store], tmp_path: Path) -> None:
    paper = read_paper(folder_of(tmp_path, PAPER.replace("{ c2 =", "{ C2 =")))
    with pytest.raises(
        MedrobustError, match=r"paper\.toml: by_construction: .* has no claim 'C2'; valid: c1, c2, c3, c4"
    ):
        PaperReport(paper, "smoke", *ran).claims()


def test_a_class_that_the_data_set_lacks_is_told(ran: tuple[Plan, Store], tmp_path: Path) -> None:
    paper = read_paper(folder_of(tmp_path, PAPER.replace('NORMAL = "a"', 'NORMAL = "aa"')))
    with pytest.raises(MedrobustError, match="'scans': classes: NORMAL = 'aa', which the data set does not have"):
        PaperReport(paper, "smoke", *ran).tables()


def test_only_data_sets_have_classes(tmp_path: Path) -> None:
    with pytest.raises(MedrobustError, match="profile smoke: substitution of model 'scans': classes: only a data set"):
        read_paper(folder_of(tmp_path, PAPER.replace('axis = "dataset"', 'axis = "model"')))


FLOOR = 'floor = { metric = "accuracy", least = 0.999 }\n'


def test_a_target_below_the_floor_is_flagged_and_decides_no_claim(ran: tuple[Plan, Store], tmp_path: Path) -> None:
    report = PaperReport(read_paper(folder_of(tmp_path, PAPER + FLOOR)), "smoke", *ran)
    (table,) = report.tables()
    (clean,) = (r for _, r in ran[1].records([c.id for c in ran[0].cells.values() if c.attack is None]))
    reached = measure("accuracy", clean).scalar
    assert reached is not None
    assert reached < 0.999
    reason = f"the target's clean accuracy of {reached:.2f} is below 1.00"
    for _, _, cell in table.walk():
        assert (cell.state, cell.note) == ("flagged", f"! decides no claim: {reason}")
        assert cell.value is not None
    first = report.claims()[0]
    assert (first.verdict, first.members, first.left_out) == ("cannot be tested here", 0, f"1 cell left out: {reason}")
    assert first.left_out in describe(first)
    assert as_facts(first)["left_out"] == first.left_out


def test_a_floor_of_no_metric_is_told_when_the_folder_is_read(tmp_path: Path) -> None:
    misspelt = PAPER + FLOOR.replace("accuracy", "acuracy")
    with pytest.raises(MedrobustError, match="floor: there is no metric 'acuracy'; did you mean 'accuracy'"):
        read_paper(folder_of(tmp_path, misspelt))


def test_a_target_above_the_floor_counts(ran: tuple[Plan, Store], tmp_path: Path) -> None:
    low = FLOOR.replace("0.999", "0.0")
    report = PaperReport(read_paper(folder_of(tmp_path, PAPER + low)), "smoke", *ran)
    assert {cell.state for _, _, cell in report.tables()[0].walk()} == {""}
    assert [finding.left_out for finding in report.claims()] == [""] * 4
