"""A paper of its own and its report, from a run with the tiny plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust.api import Session
from medrobust_leaderboard.report import PaperReport
from medrobust_leaderboard.specs import read_paper

FOLDER = Path(__file__).parent / "paper2024"


@pytest.fixture(scope="session")
def report(tiny: Path, tmp_path_factory: pytest.TempPathFactory) -> PaperReport:
    session = Session(tmp_path_factory.mktemp("report") / "store", (tiny,), workers=1)
    plan = session.plan(FOLDER / "grid.toml", profile="smoke")
    outcome = session.run(plan)
    assert outcome.complete, outcome.problems
    return PaperReport(read_paper(FOLDER), "smoke", plan, session.store)
