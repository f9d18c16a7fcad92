"""Ids: short, unique, and such that pytest reads what it has written."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from medrobust.api import AXES, Entry
from medrobust.pytest.ids import names_of, parts, with_expectation

DEFAULTS = {"dataset": "cxr", "train_set": "train", "model": "resnet50", "defense": "none", "attack": "pgd"} | {
    "goal": "untargeted",
    "budget": "linf:1/255",
    "precision": "float32",
    "evaluate_on": "test",
    "seed": "0",
}


def entry(tags: Mapping[str, str] | None = None, excluded: str = "", **labels: str) -> Entry:
    told = dict.fromkeys(AXES, "") | DEFAULTS | labels
    return Entry(tuple(told[axis] for axis in AXES), tags or {}, None, excluded)


def names(*entries: Entry) -> list[str]:
    return list(names_of(entries).values())


def test_an_id_names_data_model_attack_and_budget() -> None:
    assert names(entry()) == ["cxr::resnet50::pgd[linf:1/255]"]
    assert names(entry(defense="trades")) == ["cxr::resnet50+trades::pgd[linf:1/255]"]
    assert names(entry(attack="none", budget="", goal="")) == ["cxr::resnet50::none"]


def test_other_axes_are_told_where_they_vary() -> None:
    assert names(entry(), entry(seed="1")) == [
        "cxr::resnet50::pgd[linf:1/255,seed=0]",
        "cxr::resnet50::pgd[linf:1/255,seed=1]",
    ]
    # A clean record has no goal, which alone is no reason to tell that of the others.
    assert names(entry(), entry(attack="none", budget="", goal="")) == [
        "cxr::resnet50::pgd[linf:1/255]",
        "cxr::resnet50::none",
    ]


def test_labels_with_brackets_or_colons_leave_the_parts_of_an_id_alone() -> None:
    (name,) = names(entry(dataset="cxr[:50%]", attack="all-of(of=[a::b])"))
    assert name == "cxr(:50%)::resnet50::all-of(of=(a:b))[linf:1/255]"


def test_equal_labels_are_numbered() -> None:
    assert names(entry(), entry(tags={"stop": "success"})) == [
        "cxr::resnet50::pgd[linf:1/255]",
        "cxr::resnet50::pgd#2[linf:1/255]",
    ]


def test_what_evidence_adds_and_what_is_excluded_has_no_id() -> None:
    assert names_of([entry(tags={"evidence": "yes"}), entry(excluded="no such norm"), entry()]).keys() == {2}


@pytest.mark.parametrize("name", ["cxr::resnet50::pgd[linf:1/255]", "cxr::resnet50::none"])
def test_brackets_come_last(name: str) -> None:
    asked = with_expectation(name, "asr<=0.2")
    assert "::".join(parts(asked)) == asked
    assert parts(asked)[:3] == ["cxr", "resnet50", name.split("::")[2].partition("[")[0]]
    assert parts(asked)[3].startswith("asr<=0.2")
