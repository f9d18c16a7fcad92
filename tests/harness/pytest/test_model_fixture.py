"""A model that the project's own fixture gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust.api import Store

Run = Callable[..., pytest.RunResult]
Robust = Callable[..., Path]

GRID = '[[grid]]\ndataset = "textures"\nmodel = "medrobust_model"\nattack = "sign"\nbudget = "linf:8/255"\n'
NET = '''
import pytest
import torch
from torch import nn


class Corner(nn.Module):
    """Tells the classes by the brightness of one corner."""

    def __init__(self, slope=20.0, steps=0):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope))
        self.steps = steps

    def forward(self, images):
        if self.steps:
            images = (images * self.steps).round() / self.steps
        corner = self.slope * (images[:, :, :4, :4].mean(dim=(1, 2, 3)) - {threshold})
        return torch.stack([-corner, corner], dim=1)


@pytest.fixture(scope="session")
def medrobust_model(request):
    return {given}
'''


def conftest(project: pytest.Pytester, given: str = "Corner()", threshold: float = 0.5) -> None:
    project.makeconftest(NET.replace("{given}", given).replace("{threshold}", str(threshold)))


@pytest.mark.long
def test_the_fixture_is_the_model_of_a_file_and_of_a_test(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    conftest(project)
    store = robust('[[expect]]\nbounds = "robust_accuracy >= 0"\n', grid=GRID).parent / "own"
    project.makepyfile(
        "from medrobust.pytest import parametrize\n\n"
        '@parametrize("model.robust.toml")\ndef test_model(cell):\n    assert cell.model == "medrobust_model"\n'
    )
    result = run("-v", store=store)
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        ["model.robust.toml::textures::medrobust_model::sign::robust_accuracy>=0[[]linf:8/255]*"]
    )
    made = Store(store).cells()
    run(store=store).assert_outcomes(passed=3)
    assert Store(store).cells()["created"].equals(made["created"])
    # Other weights are another model.
    conftest(project, "Corner(slope=30.0)")
    run(store=store).assert_outcomes(passed=3)
    assert len(Store(store).cells()) == 2 * len(made)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("'resnet50'", "the fixture medrobust_model should return a torch.nn.Module"),
        ("nn.Flatten()", "should return|the data set has 2 classes|gives 64 logits"),
    ],
)
def test_what_is_no_model_is_said(run: Run, robust: Robust, project: pytest.Pytester, given: str, told: str) -> None:
    conftest(project, given)
    robust('[[expect]]\nbounds = "robust_accuracy >= 0"\n', grid=GRID)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.re_match_lines([f".*({told}).*"])
    assert "Traceback" not in result.stdout.str()


@pytest.mark.long
def test_a_grid_that_names_the_fixture_needs_it(run: Run, robust: Robust) -> None:
    robust('[[expect]]\nbounds = "robust_accuracy >= 0"\n', grid=GRID)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fixture 'medrobust_model' not found*"])


def test_a_fixture_with_params_is_told_how_to_give_several_models(
    run: Run, robust: Robust, project: pytest.Pytester
) -> None:
    conftest(project)
    text = (project.path / "conftest.py").read_text()
    (project.path / "conftest.py").write_text(text.replace('scope="session"', 'scope="session", params=["v1", "v2"]'))
    robust('[[expect]]\nbounds = "robust_accuracy >= 0"\n', grid=GRID)
    result = run()
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the fixture medrobust_model has params, but gives a grid one model; *"])


def test_a_number_that_the_evidence_speaks_against_fails(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    conftest(project, "Corner(steps=4)")
    robust('[[expect]]\nbounds = ["robust_accuracy >= 0", "asr <= 1", "asr >= 0"]\n', grid=GRID)
    result = run()
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(
        ["robust_accuracy>=0 holds, but the evidence speaks against it: *", "asr<=1 holds, but *"]
    )
    assert "Gradient" in result.stdout.str()


def test_a_model_that_draws_says_so(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    conftest(project, "Stochastic(Shaken(Corner()))")
    text = (project.path / "conftest.py").read_text()
    shaken = """
from medrobust.pytest import Stochastic


class Shaken(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, images):
        return self.net(images + 0.02 * torch.randn_like(images))
"""
    (project.path / "conftest.py").write_text(text.replace("@pytest.fixture", f"{shaken}\n\n@pytest.fixture"))
    robust("", grid=GRID, name="grid.toml")
    project.makepyfile(
        "from medrobust.pytest import parametrize\n\n"
        '@parametrize("grid.toml")\ndef test_draws(cell):\n    assert cell.record.draws > 1\n'
    )
    run().assert_outcomes(passed=2)
