"""The page of a judgement: what it says, what it never says, and how it looks on a desk and on a phone."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medrobust.api import Fault, Judgement, Picture, Result, Share
from medrobust_leaderboard import write_judgement
from medrobust_leaderboard.judging.page import page_of
from medrobust_leaderboard.judging.tables import rows_of

CHROMIUM = next((found for name in ("chromium", "google-chrome") if (found := shutil.which(name))), "")
AXE = Path(__file__).parents[1] / "site" / "axe" / "axe.min.js"
SCRIPT = "<img src=x onerror=document.title='taken'>"


def result(trial: str, levels: float, kept: float, kind: Any = "white-box") -> Result:
    nobody = np.zeros(0, dtype=bool)
    share = Share(kept, max(kept - 0.05, 0.0), min(kept + 0.05, 1.0), 100)
    return Result(trial, trial.upper(), kind, f"linf:{levels:g}/255", "linf", levels / 255, share, nobody, nobody)


@pytest.fixture
def judgement() -> Judgement:
    return Judgement(
        model=f"nets:build{SCRIPT}",
        data="ward",
        facts={"images": "100, grey", "input": "pixels in [0, 1]"},
        faults=(),
        checks=(("outputs are logits", "passed"), ("eps 0 equals clean", "not checked")),
        clean=Share(0.9, 0.8, 0.95, 100),
        chance=0.5,
        results=(result("noise", 1, 1.0, "control"), result("pgd", 4, 0.0), result("pgd", 1, 0.4)),
        findings=("Changing each pixel suffices.",),
        thin=("Patients are not known.",),
        advice=("More images.",),
        left_out=("AutoAttack: no room in the time",),
    )


def test_budgets_are_columns_by_size(judgement: Judgement) -> None:
    columns, rows = rows_of(judgement.results)
    assert columns == ["1/255", "4/255"]
    assert [(row.title, [cell and cell.kept.value for cell in row.cells]) for row in rows] == [
        ("NOISE", [1.0, None]),
        ("PGD", [0.4, 0.0]),
    ]


def test_the_page_says_all_and_runs_nothing(judgement: Judgement, tmp_path: Path) -> None:
    page = write_judgement(judgement, tmp_path / "report").read_text()
    for text in (judgement.verdict, *judgement.findings, *judgement.thin, *judgement.advice, *judgement.left_out):
        assert text in page
    assert SCRIPT not in page
    assert "<script" not in page
    assert page.count("<img") == 1


def test_faults_come_first(judgement: Judgement) -> None:
    corrected = Fault("outputs are in another order", "10 % right as it is", "Declare it.", corrected=True)
    page = page_of(replace(judgement, faults=(corrected,)))
    assert "1 fault found: outputs are in another order." in page
    assert page.index("put right here") < page.index("How it was taken")


def test_pictures_are_there_when_the_judgement_has_some(judgement: Judgement) -> None:
    pixels = np.linspace(0, 1, 64).reshape(8, 8, 1)
    picture = Picture(pixels, pixels[::-1], "left, 99 %", "right, 80 %", "at most 1 grey level")
    assert page_of(replace(judgement, pictures=(picture,))).count("<img") == 2


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: 'apt-get install chromium' installs one")
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_fits_a_desk_and_a_phone(judgement: Judgement, tmp_path: Path, width: int, scheme: str) -> None:
    sync_api = pytest.importorskip("playwright.sync_api")
    file = write_judgement(judgement, tmp_path)
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto(file.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.title() == "nets:build<img src=x onerror=document.title='taken'> on ward"
        page.add_script_tag(path=AXE)
        found = page.evaluate("axe.run()")["violations"]
        assert [(v["id"], [n["html"] for n in v["nodes"]]) for v in found] == []
        browser.close()
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
