"""Tests in Python over a grid: what passes, what fails, and what must not pass for want of anything to check."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., pytest.RunResult]
Robust = Callable[..., Path]
HEAD = "from medrobust.pytest import parametrize\n\n"


def test_a_test_runs_once_for_each_cell_and_reads_typed_attributes(
    run: Run, robust: Robust, project: pytest.Pytester
) -> None:
    robust("", name="grid.toml")
    project.makepyfile(
        HEAD
        + """
@parametrize("grid.toml")
def test_robust(cell):
    assert cell.dataset == "textures" and cell.model == "tiny-net" and cell.seed == "0"
    if cell.attack == "none":
        assert cell.clean_accuracy.lower > 0.5 and cell.clean_accuracy.n == 24 and cell.clean_accuracy.groups == 12
    else:
        assert cell.robust_accuracy.lower <= cell.robust_accuracy.value <= cell.robust_accuracy.upper
        assert cell.robust_accuracy.value == cell.accuracy.value
    assert len(cell.sensitivity_per_class) == 2 and len(cell.record) == 24
    assert cell.evidence.sound
"""
    )
    result = run("-v")
    result.assert_outcomes(passed=5)
    result.stdout.fnmatch_lines(["*::test_robust[[]textures::tiny-net::sign[[]linf:8/255]] PASSED*"])


def test_a_failed_assertion_shows_the_number_the_cell_the_images_and_the_command(
    run: Run, robust: Robust, project: pytest.Pytester
) -> None:
    robust("", name="grid.toml")
    project.makepyfile(
        HEAD
        + """
@parametrize("grid.toml")
def test_robust(cell):
    assert cell.attack != "sign" or cell.robust_accuracy.lower > 0.5
"""
    )
    result = run()
    result.assert_outcomes(passed=4, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*<robust_accuracy = *, 95 % interval [[]*], 24 images of 12 patients>*",
            "*- robustness -*",
            "  cell * sign linf:40/255 untargeted, tiny-net on textures, seed 0 (*)",
            "  again * pytest '*::test_robust[[]textures::tiny-net::sign[[]linf:40/255]]'*",
            "  evidence * checks passed*",
            "  images * lost under attack, the clearest first)",
        ]
    )


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("assert cell.robust_acuracy.lower > 0", "did you mean 'robust_accuracy'"),
        ("assert not cell.evidence.flaged", "has no attribute 'flaged'"),
        ("assert cell.robust_accuracy", "robust_accuracy is no truth value"),
        ("assert cell.evidence", "evidence is no truth value"),
        ("assert cell.detection_auc.value > 0", "no detector has scored these images"),
        ("assert cell.mean_l2.lower > 0 and cell.images.lower > 0", "images = 24.000 has no interval"),
        ("assert cell.robust_accuracy >= 0.5", "not supported between instances of 'Measured' and 'float'"),
    ],
)
def test_a_slip_raises_and_does_not_pass(
    run: Run, robust: Robust, project: pytest.Pytester, line: str, told: str
) -> None:
    robust("", name="grid.toml")
    project.makepyfile(HEAD + f'@parametrize("grid.toml")\ndef test_robust(cell):\n    {line}\n')
    result = run("-k", "sign and 8/255")
    result.assert_outcomes(failed=1, deselected=4)
    assert told in result.stdout.str()


def test_without_evidence_nothing_is_sound(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    robust("", name="grid.toml")
    project.makepyfile(
        HEAD + '@parametrize("grid.toml", evidence=False)\ndef test_robust(cell):\n    assert cell.evidence.sound\n'
    )
    result = run("-k", "sign and 8/255")
    result.assert_outcomes(failed=1, deselected=4)
    assert "nothing was checked" in result.stdout.str()


def test_a_robust_accuracy_of_clean_images_is_an_error(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    robust("", name="grid.toml")
    project.makepyfile(
        HEAD + '@parametrize("grid.toml")\ndef test_robust(cell):\n    assert cell.robust_accuracy.value >= 0\n'
    )
    result = run()
    result.assert_outcomes(passed=4, failed=1)
    assert "nothing was attacked here; ask for clean_accuracy" in result.stdout.str()


def test_a_grid_can_be_given_as_a_table_and_be_limited(run: Run, project: pytest.Pytester) -> None:
    table = {"dataset": "textures", "model": "tiny-net", "attack": "sign", "budget": "linf:8/255"}
    project.makepyfile(
        HEAD
        + f"@parametrize({{'grid': [{table}]}}, images=12)\ndef test_robust(cell):\n    assert len(cell.record) <= 14\n"
    )
    run().assert_outcomes(passed=2)


def test_a_grid_that_cannot_be_read_is_told_where_the_test_is_collected(run: Run, project: pytest.Pytester) -> None:
    project.makepyfile(HEAD + '@parametrize("nothing.toml")\ndef test_robust(cell):\n    pass\n')
    result = run()
    result.assert_outcomes(errors=1)
    assert "nothing.toml: cannot be read" in result.stdout.str()
    assert "harness/medrobust" not in result.stdout.str()


def test_a_marked_test_takes_a_cell_and_a_cell_needs_a_mark(run: Run, robust: Robust, project: pytest.Pytester) -> None:
    robust("", name="grid.toml")
    project.makepyfile(
        test_one=HEAD + '@parametrize("grid.toml")\ndef test_robust():\n    pass\n',
        test_two="def test_robust(cell):\n    pass\n",
    )
    result = run("--continue-on-collection-errors")
    result.assert_outcomes(errors=2)
    assert "gives the argument 'cell', which this test does not take" in result.stdout.str()
    assert "the fixture 'cell' is for tests with @medrobust.pytest.parametrize(GRID)" in result.stdout.str()


def test_a_fixture_called_cell_of_the_project_itself_is_left_alone(run: Run, project: pytest.Pytester) -> None:
    project.makepyfile(
        "import pytest\n\n@pytest.fixture\ndef cell():\n    return 7\n\n\ndef test_seven(cell):\n    assert cell == 8\n"
    )
    result = run()
    result.assert_outcomes(failed=1)
    assert "robustness" not in result.stdout.str()
