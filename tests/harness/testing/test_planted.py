"""One broken example for each rule: it is caught under the name of the rule, and the same without the fault is not."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from medrobust import Plugin
from medrobust.testing import (
    Rule,
    attack_rules,
    check,
    dataset_rules,
    defense_rules,
    detector_rules,
    general_rules,
    model_rules,
    probe_rules,
)

from . import broken

STEP = (
    *("form", "budget", "box", "images untouched", "model untouched", "seed", "random numbers", "batches", "radius 0"),
    "stronger than noise",
)
FILTER = ("logits", "model untouched", "seed", "batches")
LESSON = ("trains", "training seed", "continued")


def of(rules: Iterable[Rule], *others: str) -> list[str]:
    return [rule.name for rule in rules if rule.name not in others]


CAUGHT: list[tuple[type[Plugin], str, str]] = [
    *((broken.Step, fault, fault) for fault in STEP),
    (broken.Step, "form nan", "form"),
    (broken.Step, "model untouched weights", "model untouched"),
    (broken.Step, "radius 0 nan", "radius 0"),
    *((broken.Everywhere, fault, fault) for fault in ("form", "budget")),
    *((broken.Filter, fault, fault) for fault in FILTER),
    (broken.Filter, "model untouched weights", "model untouched"),
    *((broken.Lesson, fault, fault) for fault in LESSON),
    *((broken.Middle, fault, fault) for fault in of(detector_rules.RULES)),
    *((broken.Network, fault, fault) for fault in of(model_rules.RULES)),
    (broken.Network, "normalisation of grey levels", "normalisation"),
    (broken.Network, "every form outputs", "every form"),
    *((broken.Album, fault, fault) for fault in of(dataset_rules.RULES, "fingerprint")),
    *((broken.Look, fault, fault) for fault in of(probe_rules.RULES)),
    (broken.Look, "arrays of colour", "arrays"),
    (broken.Look, "selection without labels", "selection"),
    (broken.Steps, "", "prefixes"),
    (broken.Peeking, "", "threat model"),
    (broken.Asking, "", "threat model"),
    (broken.Timid, "", "smallest perturbation"),
    (broken.Tremble, "", "seed"),
    (broken.Wordless, "", "documented"),
    (broken.Unequal, "", "frozen"),
    (broken.Undeclared, "", "declarations"),
]
SOUND = (
    *(broken.Step, broken.Everywhere, broken.Filter, broken.Lesson, broken.Middle, broken.Network, broken.Album),
    broken.Look,
)


def broken_rules(plugin: Plugin) -> dict[str, str]:
    return {outcome.rule.name: outcome.reason for outcome in check(plugin) if outcome.verdict == "broken"}


@pytest.mark.parametrize(("plugin", "fault", "rule"), CAUGHT)
def test_a_planted_fault_is_caught_by_the_name_of_its_rule(plugin: type[Plugin], fault: str, rule: str) -> None:
    found = broken_rules(plugin(fault=fault) if fault else plugin())  # type: ignore[call-arg]
    assert rule in found, found
    assert found[rule]


@pytest.mark.parametrize("plugin", SOUND)
def test_the_same_without_a_fault_keeps_every_rule(plugin: type[Plugin]) -> None:
    assert broken_rules(plugin()) == {}


def test_training_on_something_else_is_caught(tmp_path: Path) -> None:
    (tmp_path / "more.npy").write_bytes(b"images")
    found = broken_rules(broken.Lesson(fault="training images", file=str(tmp_path / "more.npy")))
    assert found.keys() == {"training images"}
    assert "more.npy" in found["training images"]


def test_a_fingerprint_without_the_files_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "listed").mkdir()
    np.save(tmp_path / "listed" / "images.npy", np.zeros((4, 8, 8, 1), np.uint8))
    monkeypatch.setenv("MEDROBUST_DATA", str(tmp_path))
    assert broken_rules(broken.Listed()).keys() == {"fingerprint"}


def test_every_rule_has_a_planted_fault() -> None:
    rules = [attack_rules, dataset_rules, detector_rules, general_rules, model_rules, probe_rules]
    known = {rule.name for module in rules for rule in module.RULES}
    known |= {rule.name for rule in (*defense_rules.WRAPPING, *defense_rules.TRAINING)}
    assert {rule for _, _, rule in CAUGHT} | {"fingerprint", "training images"} == known
