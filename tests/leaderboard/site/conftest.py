"""Stores with hostile names and images that are nobody's business, and sites of them."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medrobust.api import Session
from medrobust_leaderboard.site.build import Written, write_site

TINY = Path(__file__).parents[2] / "tiny.py"
SCRIPT = "<img src=x onerror=document.title='taken'>"
QUOTED = "\"quoted\" & 'single' <b>bold"
PATIENT = "anna-smith"
"""Is in the names of the files, and so in the ids, of a data set that may not be passed on."""


@dataclass(frozen=True)
class Made:
    """A store with what made it."""

    store: Path
    grid: Path
    hospital: Path

    def session(self, plugins: tuple[Path, ...] = (TINY,)) -> Session:
        return Session(self.store, plugins, device="cpu", workers=1)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Two data sets, one of which may not be shown; of the other one two defenses, three attacks and two seeds."""
    folder = tmp_path_factory.mktemp("site")
    hospital = _hospital(folder / "ward of the clinic")
    quoted = json.dumps(str(hospital))
    grid = folder / "trial" / "grid.toml"
    grid.parent.mkdir()
    grid.write_text(
        f"""
[define]
{json.dumps(SCRIPT)} = {{ name = "textures", size = 8 }}
{json.dumps(QUOTED)} = {{ name = "tiny-net", recipe = {{ epochs = 1 }} }}

[[grid]]
dataset = {json.dumps("@" + SCRIPT)}
model   = {json.dumps("@" + QUOTED)}
defense = ["none", "bit-depth"]
attack  = ["none", "hum", "sign", {{ name = "steps", steps = 3 }}]
budget  = ["linf:4/255", "linf:16/255"]
probe   = ["examples"]
seed    = [0, 1]

[[grid]]
dataset = {{ name = "image-folder", path = {quoted}, size = 8, channels = 1 }}
model   = {json.dumps("@" + QUOTED)}
attack  = ["none", "sign"]
budget  = ["linf:4/255", "linf:16/255"]
probe   = ["examples"]
"""
    )
    tables = """
[[table]]
id = "table1"
title = "Table 1. <i>Attacks</i>"
rows = ["attack"]
columns = ["dataset", "defense", "budget"]
value = [{ metric = "accuracy" }]
mean_over = ["seed"]
reference = "table1.csv"
"""
    figures = """
[[figure]]
id = "fig1"
title = "Fig. 1. Accuracy"
kind = "curves"
panels = ["dataset"]
series = ["attack"]
x = "eps"
x_label = "eps"
y_label = "accuracy (%)"
where = { defense = "none" }
mean_over = ["seed"]
value = [{ metric = "accuracy" }]

[[figure]]
id = "fig2"
title = "Fig. 2. Examples"
kind = "images"
rows = ["dataset"]
mean_over = ["seed"]
where = { defense = "none", attack = "sign", budget = "linf:16/255" }
"""
    (grid.parent / "tables.toml").write_text(tables)
    (grid.parent / "reference").mkdir()
    with (grid.parent / "reference" / "table1.csv").open("w", newline="") as stream:
        rows = [("attack", "dataset", "defense", "budget", "reference"), ("sign", SCRIPT, "none", "linf:4/255", 12.34)]
        csv.writer(stream).writerows(rows)
    (grid.parent / "figures.toml").write_text(figures)
    session = Session(folder / "store", (TINY,), device="cpu", workers=1)
    plan = session.plan(grid, evidence=True)
    assert session.run(plan, command=f"medrobust run {grid}").complete
    session.evidence(plan)
    return Made(folder / "store", grid, hospital)


def _hospital(folder: Path) -> Path:
    """Images whose files are called after patients."""
    rng = np.random.default_rng(0)
    for split, count in (("train", 12), ("val", 4), ("test", 6)):
        for label, bright in (("ill", 60), ("well", 0)):
            for number in range(count):
                pixels = rng.integers(60, 180, (8, 8), dtype=np.uint8) + np.uint8(bright)
                file = folder / split / label / f"{PATIENT}-{split}{number}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(file)
    return folder


@dataclass(frozen=True)
class Site:
    """A site that was written."""

    folder: Path
    written: Written

    def page(self, pattern: str) -> Path:
        """The first page that a pattern finds."""
        return sorted(self.folder.glob(pattern))[0]


@pytest.fixture(scope="session")
def site(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site of the store, with images where that is permitted."""
    folder = tmp_path_factory.mktemp("out") / "site"
    papers = [str(made.grid.parent)]
    return Site(folder, write_site([made.session()], folder, title="A & <b>B</b>", papers=papers, with_images=True))


@pytest.fixture(scope="session")
def discreet(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The site without images."""
    folder = tmp_path_factory.mktemp("out") / "discreet"
    return Site(folder, write_site([made.session()], folder, title="Results", papers=[str(made.grid.parent)]))
