"""Robust files as items: ids, selection, outcomes, and what a failed expectation prints."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from medrobust.api import Store, measure

Run = Callable[..., pytest.RunResult]
Robust = Callable[..., Path]

EASY = '[[expect]]\nbounds = ["robust_accuracy >= 0", "asr <= 1"]\n'
MIXED = '[[expect]]\nattack = "sign"\nbounds = "robust_accuracy >= 0.6"\n[[expect]]\nbounds = "clean_accuracy >= 0.5"\n'
ONE = '[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\nattack = "sign"\nbudget = "linf:8/255"\n'
BELOW = "textures::tiny-net"


def text(result: pytest.RunResult) -> str:
    return result.stdout.str()


def test_collecting_names_every_cell_and_expectation_and_computes_nothing(run: Run, robust: Robust) -> None:
    robust(EASY)
    store = robust(EASY).parent / "own"
    result = run("--collect-only", "-q", store=store)
    ids = [line for line in result.outlines if "::" in line]
    assert ids == [
        f"model.robust.toml::{BELOW}::{attack}::{expectation}[{budget}]"
        for attack in ("sign", "hum")
        for budget in ("linf:8/255", "linf:40/255")
        for expectation in ("robust_accuracy>=0", "asr<=1")
    ]
    assert not store.exists()


def test_expectations_that_hold_pass(run: Run, robust: Robust) -> None:
    robust(EASY)
    run().assert_outcomes(passed=8)


@pytest.mark.long
def test_a_failed_expectation_says_what_where_which_and_how_to_see_it_again(
    run: Run, robust: Robust, computed: Path, project: pytest.Pytester
) -> None:
    robust(MIXED)
    result = run("-q")
    result.assert_outcomes(passed=2, failed=1)
    told = text(result)
    record = next(
        record for cell, record in Store(computed).records(Store(computed).cells().index.tolist()) if cell in told
    )
    value = measure("accuracy", record)
    assert value.interval is not None
    low, high = value.interval
    number = f"robust_accuracy = {value.scalar:.3f}, 95 % interval [{low:.3f}, {high:.3f}]"
    assert f"robust_accuracy>=0.6 does not hold: {number}" in told
    assert f"the lower end of the interval, {low:.4g}, should be at least 0.6" in told
    assert re.search(r"cell +sign linf:40/255 untargeted, tiny-net on textures, seed 0 \(\w{20}\)", told)
    (shown,) = re.findall(r"images +(.+) \(\d+ lost under attack, the clearest first\)", told)
    assert set(shown.split(", ")) <= set(record.ids.tolist())
    assert "Traceback" not in told
    assert "checking.py" not in told
    (command,) = re.findall(r"again +pytest (.+)", told)
    again = run(*shlex.split(command))
    again.assert_outcomes(failed=1)


def test_the_short_summary_and_the_report_for_programs_have_the_ids(
    run: Run, robust: Robust, project: pytest.Pytester
) -> None:
    robust(MIXED)
    result = run("-q", "--junitxml=report.xml")
    result.stdout.fnmatch_lines([f"FAILED model.robust.toml::{BELOW}::sign::robust_accuracy>=0.6[[]linf:40/255[]]*"])
    cases = {
        (case.get("classname"), case.get("name")): case.find("failure")
        for case in ElementTree.parse(project.path / "report.xml").iter("testcase")
    }
    assert ("model.robust.toml.textures.tiny-net.none", "clean_accuracy>=0.5") in cases
    failure = cases["model.robust.toml.textures.tiny-net.sign", "robust_accuracy>=0.6[linf:40/255]"]
    assert failure is not None
    assert "does not hold" in (failure.text or "")


def test_what_is_selected_is_computed_and_nothing_else(run: Run, robust: Robust) -> None:
    store = robust('[[expect]]\nbounds = "robust_accuracy >= 0"\n').parent / "own"
    run("-k", "hum and 8/255", store=store).assert_outcomes(passed=1, deselected=3)
    cells = Store(store).cells()
    # The cells that evidence adds are there too: noise, a radius of zero and a very large one.
    asked = cells[cells["attack"].isin(["sign", "hum"]) & cells["eps"].between(0.01, 0.2)]
    assert asked[["attack", "budget"]].to_numpy().tolist() == [["hum", "linf:8/255"]]


@pytest.mark.long
@pytest.mark.parametrize(
    ("typed", "passed"),
    [("::sign", 4), ("::sign::asr<=1", 2), ("::sign::asr<=1[linf:40/255]", 1), ("", 8)],
)
def test_ids_can_be_typed_up_to_any_part(run: Run, robust: Robust, typed: str, passed: int) -> None:
    robust(EASY)
    run(f"model.robust.toml::{BELOW}{typed}").assert_outcomes(passed=passed)


@pytest.mark.long
def test_what_failed_last_runs_alone(run: Run, robust: Robust) -> None:
    robust(MIXED)
    run().assert_outcomes(passed=2, failed=1)
    result = run("--lf")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*no previously failed*")


def test_an_unchanged_cell_costs_milliseconds(run: Run, robust: Robust) -> None:
    robust(EASY)
    run()
    result = run("--durations=0", "--durations-min=0", "-vv")
    calls = [float(found) for found in re.findall(r"^(\d+\.\d+)s call", text(result), re.MULTILINE)]
    assert len(calls) == 8
    # The first reads the store for all of them.
    assert sorted(calls)[-2] < 0.1


@pytest.mark.parametrize(
    ("expect", "told"),
    [
        ('bounds = "robust_acuracy >= 0.5"', "did you mean 'robust_accuracy'"),
        ('bounds = "robust_accuracy > 0.5"', "expected text such as 'robust_accuracy >= 0.5'"),
        ('bound = "robust_accuracy >= 0.5"', "did you mean 'bounds'"),
        ('attack = "pgd"\nbounds = "asr <= 0.5"', "asr<=0.5 is of no cell of the grid; its cells: textures"),
        ('attack = "none"\nbounds = "asr <= 0.5"', "is of no cell of the grid"),
        ('bounds = "accuracy(left) >= 0.5"', "'accuracy' has no value for each class"),
        ('no_regression = "images"', "'images' is not better or worse"),
        ('no_regression = "asr"\nminimum_effect = -1', "expected a number, at least 0"),
        ('attack = "sign"', "nothing is expected"),
    ],
)
def test_a_mistake_in_a_file_is_told_without_a_traceback(run: Run, robust: Robust, expect: str, told: str) -> None:
    robust(f"[[expect]]\n{expect}\n")
    result = run()
    result.assert_outcomes(errors=1)
    assert told in text(result)
    assert "model.robust.toml" in text(result)
    assert "Traceback" not in text(result)
    assert "harness/medrobust" not in text(result)


@pytest.mark.long
def test_a_file_without_expectations_or_with_a_mistake_in_its_grid(run: Run, robust: Robust) -> None:
    robust("")
    assert "no [[expect]] table" in text(run())
    robust(EASY, grid='[[grid]]\ndataset = "textures"\nmodel = "tiny-nett"\n')
    assert "did you mean 'tiny-net'" in text(run())


def test_a_bound_on_each_class_and_on_one(run: Run, robust: Robust) -> None:
    robust(
        '[[expect]]\nattack = "hum"\nbudget = "linf:8/255"\n'
        'bounds = ["sensitivity_per_class(b) <= 1", "sensitivity_per_class >= 1", "sensitivity_per_class(c) >= 0"]\n'
    )
    result = run()
    result.assert_outcomes(passed=1, failed=2)
    assert "no class is called 'c'; the classes are" in text(result)
    assert "sensitivity_per_class(" in text(result)


def test_an_attack_that_fails_is_a_failure_with_its_reason(run: Run, robust: Robust) -> None:
    robust(EASY, grid=ONE.replace("sign", "misbehaving"))
    result = run()
    result.assert_outcomes(failed=2)
    assert re.search(r"misbehaving.*failed: ", text(result))


def test_images_that_are_not_here_are_a_failure_and_no_skip(run: Run, robust: Robust) -> None:
    robust(EASY, grid=ONE.replace("textures", "ward"))
    result = run()
    result.assert_outcomes(failed=2)
    assert "impossible here: " in text(result)
