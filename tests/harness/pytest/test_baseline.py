"""No regression: against a stored baseline, on the same images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust.api import Store

Run = Callable[..., pytest.RunResult]
Robust = Callable[..., Path]

GRID = """
[[grid]]
dataset = "textures"
model = "medrobust_model"
attack = ["sign", "hum"]
budget = ["linf:8/255"]
evaluate_on = "train"
"""
EXPECT = '[[expect]]\nno_regression = ["robust_accuracy", "clean_accuracy"]\n'
NET = """
import pytest
import torch
from torch import nn


class Corner(nn.Module):
    def __init__(self, distraction):
        super().__init__()
        self.distraction = nn.Parameter(torch.tensor(distraction))

    def forward(self, images):
        corner, other = (images[:, :, part, part].mean(dim=(1, 2, 3)) for part in (slice(4), slice(4, 8)))
        logit = 20 * (corner - 0.6) + self.distraction * (other - 0.46)
        return torch.stack([-logit, logit], dim=1)


@pytest.fixture(scope="session")
def medrobust_model():
    return Corner({distraction})
"""
GOOD, WORSE = 0.0, 200.0
"""How much the model listens to pixels that have nothing to do with the class."""


def model(project: pytest.Pytester, distraction: float) -> None:
    project.makeconftest(NET.replace("{distraction}", str(distraction)))


def test_without_a_baseline_it_is_skipped_with_what_to_type(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    model(project, GOOD)
    robust(EXPECT, grid=GRID)
    result = run("-rs")
    result.assert_outcomes(skipped=3)
    assert "--medrobust-baseline DIR" in result.stdout.str()


@pytest.mark.long
def test_a_baseline_is_written_and_compared_with(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    model(project, GOOD)
    robust(EXPECT, grid=GRID)
    run("--medrobust-baseline=base").assert_outcomes(failed=3)  # there is none
    run("--medrobust-baseline=base", "--medrobust-update-baseline").assert_outcomes(passed=3)
    base = project.path / "base"
    assert len(Store(base).cells()) == 3
    assert not (base / "tensors").exists()
    run("--medrobust-baseline=base").assert_outcomes(passed=3)

    model(project, WORSE)
    result = run("--medrobust-baseline=base")
    told = result.stdout.str()
    assert "robust_accuracy is worse than in the baseline by 0." in told
    assert "mcnemar" in told
    assert "correct in the baseline and wrong now, the clearest first" in told
    assert "--medrobust-baseline=base" in told
    result.assert_outcomes(failed=3)

    # What was written last counts.
    run("--medrobust-baseline=base", "--medrobust-update-baseline").assert_outcomes(passed=3)
    run("--medrobust-baseline=base").assert_outcomes(passed=3)


@pytest.mark.long
def test_a_minimum_effect_lets_smaller_drops_pass(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    model(project, GOOD)
    robust(f"{EXPECT}minimum_effect = 1.1\n", grid=GRID)
    run("--medrobust-baseline=base", "--medrobust-update-baseline").assert_outcomes(passed=3)
    model(project, WORSE)
    run("--medrobust-baseline=base").assert_outcomes(passed=3)


@pytest.mark.long
def test_a_cell_that_the_baseline_does_not_know_is_skipped(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    model(project, GOOD)
    robust(EXPECT, grid=GRID)
    run("-k", "sign", "--medrobust-baseline=base", "--medrobust-update-baseline").assert_outcomes(
        passed=1, deselected=2
    )
    result = run("-rs", "--medrobust-baseline=base")
    result.assert_outcomes(passed=1, skipped=2)
    assert "has no record under these labels; --medrobust-update-baseline adds it" in result.stdout.str()


@pytest.mark.long
def test_the_configuration_can_name_the_baseline(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    model(project, GOOD)
    robust(EXPECT, grid=GRID)
    ini = project.path / "tox.ini"
    ini.write_text(ini.read_text() + "\nmedrobust_baseline = results\n")
    run("--medrobust-update-baseline").assert_outcomes(passed=3)
    run().assert_outcomes(passed=3)
    assert (project.path / "results" / "store.json").exists()


def test_the_store_is_no_baseline_of_itself_and_an_update_needs_one(
    run: Run, robust: Robust, project: pytest.Pytester, computed: Path
) -> None:
    model(project, GOOD)
    robust(EXPECT, grid=GRID)
    result = run(f"--medrobust-baseline={computed}")
    result.assert_outcomes(failed=3)
    assert "the baseline is the store itself" in result.stdout.str()
    assert "def " not in result.stdout.str()
    result = run("--medrobust-update-baseline")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "--medrobust-update-baseline needs --medrobust-baseline DIR" in result.stdout.str() + result.stderr.str()
