"""Every claim holds for what its own paper prints: else it is worded wrongly."""

from __future__ import annotations

from dataclasses import replace

import pytest

from medrobust.api import measure
from medrobust_leaderboard.claims import BoundClaim, Claim, describe, read_claims, verdict_on
from medrobust_leaderboard.claims.members import Item

from .printed_items import PAPERS, items_for, read_printed, reference, targeted

NAMES = ("ma2020", "hirano2021", "minagi2022", "kovalev2019", "wetstein2020")
EVERY = [(name, claim) for name in NAMES for claim in read_claims(PAPERS / name)]


def claim_of(name: str, id_: str) -> Claim:
    return next(claim for paper, claim in EVERY if (paper, claim.id) == (name, id_))


@pytest.mark.parametrize(("name", "claim"), EVERY, ids=[f"{name}-{claim.id}" for name, claim in EVERY])
def test_a_claim_holds_for_what_its_paper_prints(name: str, claim: Claim) -> None:
    printed = read_printed(name)
    finding = verdict_on(claim, items_for(name, claim.id))
    told = f"{finding.verdict}: {' | '.join(describe(finding))}"
    if claim.id in printed.not_printed:
        assert (finding.verdict, finding.members) == ("cannot be tested here", 0), told
    elif claim.id in printed.in_part:
        assert finding.verdict == "cannot be tested here", told
        assert finding.supported == finding.members > 0, told
    else:
        assert finding.verdict == "holds", told


@pytest.mark.parametrize("name", NAMES)
def test_every_claim_is_fed_or_listed_with_the_reason(name: str) -> None:
    printed = read_printed(name)
    ids = {claim.id for paper, claim in EVERY if paper == name}
    fed = {id_ for numbers in printed.numbers for id_ in numbers.claims}
    assert fed | printed.not_printed.keys() == ids
    assert fed.isdisjoint(printed.not_printed)
    assert printed.in_part.keys() <= fed
    assert all(reason.endswith(".") for reason in (*printed.not_printed.values(), *printed.in_part.values()))


@pytest.mark.parametrize("name", NAMES)
def test_what_is_counted_is_most(name: str) -> None:
    for count in read_printed(name).counts:
        (row,) = [r for r in reference(name, "fig3.csv") if r["figure"] == count.figure]
        assert claim_of(name, count.claim).quantifier == "most"
        assert 2 * int(row["tasks"]) > int(row["of"])


# The instrument itself -----------------------------------------------------------------------------------------------


def found(name: str, claim: str, **labels: str) -> Item:
    (item,) = [i for i in items_for(name, claim) if all(i.row[axis] == label for axis, label in labels.items())]
    return item


def test_records_give_the_printed_numbers_back() -> None:
    # 467 of 533 images of skin are correct when clean, and FGSM leaves 140 of these.
    fgsm = found("ma2020", "c1", dataset="dermoscopy", attack="FGSM").record
    assert fgsm is not None
    assert measure("accuracy", replace(fgsm, adversarial=fgsm.clean)).scalar == pytest.approx(0.8762, abs=5e-5)
    assert measure("accuracy_on_clean_correct", fgsm).scalar == 140 / 467 == pytest.approx(0.2998, abs=5e-5)
    assert measure("asr", fgsm).scalar == pytest.approx(1 - 0.2998, abs=5e-5)
    random = found(
        "hirano2021", "c1", dataset="chest", model="VGG16", attack="random-uap", budget="l2:zeta=4% box=none"
    )
    assert random.record is not None
    assert measure("fooling_rate", random.record).scalar == pytest.approx(0.022, abs=1e-3)
    uap = found("hirano2021", "c5", dataset="skin", model="VGG19", goal="target:NV", attack="uap").record
    assert uap is not None
    assert measure("targeted_success", uap).scalar == pytest.approx(0.916, abs=2e-4)
    assert measure("targeted_baseline", uap).scalar == pytest.approx(0.65, abs=2e-4)
    area = found("wetstein2020", "c3", dataset="radiology", attack="PGD", budget="linf:0.06@[-1,1]").values["mean_auc"]
    assert (area.value, area.n) == (0.49, 22424)
    assert area.interval is not None
    assert area.interval[0] < 0.49 < area.interval[1]


def test_shares_before_and_after_are_independent() -> None:
    made = targeted(1000, 300, 500)
    before, after = made.clean[:, 0] > 0, made.adversarial[:, 0] > 0
    assert (before.sum(), after.sum(), (before & after).sum()) == (300, 500, 150)


def test_a_claim_that_a_paper_contradicts_does_not_hold() -> None:
    # The printed 98.16 % of CW on three classes: at least 98 %, and not 99 %.
    claim = claim_of("ma2020", "c5")
    assert isinstance(claim, BoundClaim)
    finding = verdict_on(replace(claim, at_least=0.99), items_for("ma2020", "c5"))
    assert (finding.verdict, finding.decisive) == ("does not hold", "cxr-3, CW")
