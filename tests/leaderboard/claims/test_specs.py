"""Reading of claims.toml: what is malformed is refused with its key, and every paper's claims are its own words."""

import re
from pathlib import Path
from typing import Any

import pytest

import medrobust_leaderboard
from medrobust import MedrobustError
from medrobust_leaderboard.claims import BoundClaim, Claim, ComparisonClaim, TrendClaim, read_claims, unplanned

PAPERS = Path(medrobust_leaderboard.__file__).parent / "papers"
NAMES = ("ma2020", "hirano2021", "minagi2022", "kovalev2019", "wetstein2020")
SHARED = Path(__file__).parents[3].parent / "shared" / "papers"

GOOD = """
[[claim]]
id = "c1"
kind = "bound"
text = "Few images survive."
section = "4.2"
metric = "accuracy"
where = { attack = "PGD" }
at_most = 0.01
"""
PAIR = GOOD.replace('"bound"', '"comparison"').replace(
    "at_most = 0.01",
    'left = { attack = "PGD" }\nright = { attack = "FGSM" }\npair_on = ["dataset"]\ndirection = "less"',
)
TREND = GOOD.replace('"bound"', '"trend"').replace(
    "at_most = 0.01", 'along = "eps"\ndirection = "decreasing"\npair_on = ["dataset"]'
)


def read(folder: Path, text: str) -> tuple[Claim, ...]:
    (folder / "claims.toml").write_text(text, encoding="utf-8")
    return read_claims(folder)


def test_claims_are_read_without_the_rest_of_the_paper(tmp_path: Path) -> None:
    assert read_claims(tmp_path) == ()
    (claim,) = read(tmp_path, GOOD)
    told: dict[str, Any] = {"id": "c1", "text": "Few images survive.", "section": "4.2", "metric": "accuracy"}
    assert claim == BoundClaim(**told, where={"attack": "PGD"}, at_most=0.01)
    assert [type(c) for c in read(tmp_path, PAIR + TREND.replace("c1", "c2"))] == [ComparisonClaim, TrendClaim]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            GOOD.replace("at_most", "at_mots"),
            r"claim 1 \(c1\): at_mots: a bound has no such key; did you mean 'at_most'",
        ),
        (GOOD.replace('"bound"', '"bond"'), r"kind: expected bound or comparison or trend, got 'bond'"),
        (GOOD.replace('"accuracy"', '"acuracy"'), r"metric: no metric is called 'acuracy'; did you mean 'accuracy'"),
        (GOOD.replace('"accuracy"', '"confusion_matrix"'), r"metric: 'confusion_matrix' is a matrix"),
        (GOOD.replace("attack =", "atack ="), r"where: no axis is called 'atack'; did you mean 'attack'"),
        (GOOD.replace("at_most = 0.01", ""), r"at_most: give either"),
        (GOOD + "at_least = 0.5", r"at_most: give either"),
        (GOOD.replace("0.01", '"few"'), r"at_most: Input should be a valid number"),
        (GOOD + 'quantifier = "some"', r"quantifier: Input should be 'all', 'most' or 'average'"),
        (GOOD.replace('section = "4.2"', ""), r"lacks section"),
        (GOOD.replace('"4.2"', '" "'), r"section: is empty"),
        (GOOD + GOOD, r"claim 2: id: 'c1' is taken"),
        (GOOD.replace("[[claim]]", "[[claims]]"), r"unknown table 'claims'"),
        (GOOD.replace("0.01", ""), r"claims\.toml: "),
        (PAIR.replace('"less"', '"equal"'), r"margin: 'equal' needs"),
        (PAIR + "margin = -0.1", r"margin: must not be negative"),
        (PAIR + "factor = 0", r"factor: must be positive"),
        (PAIR + 'right_metric = "acc"', r"right_metric: no metric is called 'acc'"),
        (PAIR.replace('["dataset"]', '["datset"]'), r"pair_on: no axis is called 'datset'; did you mean 'dataset'"),
        (TREND.replace('"eps"', '"budget"'), r"order: 'budget' has no order of its own"),
        (TREND.replace('"eps"', '"epsilon"'), r"along: no axis is called 'epsilon'"),
    ],
)
def test_a_malformed_claim_is_refused_with_its_key(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(MedrobustError, match=message) as caught:
        read(tmp_path, text)
    assert str(tmp_path / "claims.toml") in str(caught.value)


@pytest.mark.parametrize("name", NAMES)
def test_every_paper_has_claims(name: str) -> None:
    claims = read_claims(PAPERS / name)
    assert len(claims) >= 5
    for finding in unplanned(claims):
        assert finding.verdict == "cannot be tested here"
        assert finding.missing.startswith("the paper's grid (")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.skipif(not SHARED.is_dir(), reason="the papers' texts are not here")
def test_no_claim_quotes_its_paper(name: str) -> None:
    def words(text: str) -> list[str]:
        return re.findall(r"[a-z0-9]+", text.lower())

    paper = f" {' '.join(words((SHARED / f'{name}.txt').read_text(encoding='utf-8')))} "
    for claim in read_claims(PAPERS / name):
        for text in (words(claim.text), words(claim.reading)):
            runs = (" ".join(text[start : start + 12]) for start in range(len(text) - 11))
            assert not [run for run in runs if f" {run} " in paper], claim.id
