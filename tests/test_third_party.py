"""A stranger's distribution, installed into a separate environment, has what a bundled plugin has."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.long
ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "third_party"


@pytest.fixture(scope="module")
def installed(environment: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its folder, copied from the examples and installed."""
    folder = tmp_path_factory.mktemp("stranger") / "frequency-lab"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "build"))
    environment.run("pip install .", folder)
    return folder


def test_both_plugins_are_listed(environment: Any, installed: Path, tmp_path: Path) -> None:
    offers = json.loads(environment.run("medrobust plugins --json --strict", tmp_path))
    found = {(each["kind"], each["name"]) for each in offers if each["distribution"] == "frequency-lab"}
    assert found == {("attack", "low-frequency-pgd"), ("defense", "randomised-smoothing")}


def test_its_own_tests_pass_where_the_package_is_the_installed_one(environment: Any, installed: Path) -> None:
    shutil.rmtree(installed / "frequency_lab")
    told = environment.run("pytest -q -p no:cacheprovider", installed)
    assert " passed" in told
    assert "failed" not in told


def test_its_grid_runs(environment: Any, installed: Path) -> None:
    environment.run("medrobust run grid.toml --no-evidence --workers 1", installed)
    rows = json.loads(environment.run("medrobust leaderboard medrobust-store --format json", installed))
    assert {"low-frequency-pgd", "pgd"} <= {row["attack"].partition("(")[0] for row in rows}
    assert {"none", "randomised-smoothing"} <= {row["defense"] for row in rows}


def test_the_first_grid_judges_the_strangers_attack_beside_ours(
    environment: Any, installed: Path, tmp_path: Path
) -> None:
    environment.run(f"medrobust run {ROOT / 'docs' / 'first-grid.toml'}", tmp_path)
    board = environment.run("medrobust leaderboard medrobust-store", tmp_path)
    for budget in ("linf:2/255", "linf:4/255"):
        assert f"Models on eyes, {budget}" in board
        assert f"Attacks on eyes, {budget}" in board
    again = environment.run(f"medrobust run {ROOT / 'docs' / 'first-grid.toml'}", tmp_path)
    assert "0 computed" in again
