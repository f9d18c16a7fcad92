"""The option `--where`."""

from __future__ import annotations

import pytest

from medrobust import MedrobustError
from medrobust.api import parse_where


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["attack=pgd*,dataset=skin"], {"attack": ["pgd*"], "dataset": ["skin"]}),
        (["attack=pgd(steps=5, step_size=0.01),seed=0"], {"attack": ["pgd(steps=5, step_size=0.01)"], "seed": ["0"]}),
        (["budget=l2:zeta=4%"], {"budget": ["l2:zeta=4%"]}),
        (["attack=a", "attack=b"], {"attack": ["a", "b"]}),
    ],
)
def test_labels_may_have_commas_and_equals_signs(texts: list[str], expected: dict[str, list[str]]) -> None:
    assert parse_where(texts) == expected
    with pytest.raises(MedrobustError, match="not an axis"):
        parse_where(["attacks=a"])
