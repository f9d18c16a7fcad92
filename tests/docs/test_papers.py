"""docs/papers.md: its files are those of the example, which runs and compares with the values given."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from medrobust.api import Session
from medrobust_leaderboard.figure_specs import ImagesSpec
from medrobust_leaderboard.finding import find_paper
from medrobust_leaderboard.report import PaperReport

DOCUMENT = "docs/papers.md"
EXAMPLE = Path(__file__).parents[2] / "examples/sixth_paper"

Blocks = Callable[[str], Sequence[Any]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(EXAMPLE, tmp_path / "mine"))


def test_the_document_shows_the_files_of_the_example(blocks: Blocks) -> None:
    found = {block.file: block.text.partition("\n")[2] for block in blocks(DOCUMENT) if block.file}
    for name in ("grid.toml", "tables.toml"):
        assert found[name] == (EXAMPLE / name).read_text()
    assert (EXAMPLE / "reference/table1.csv").read_text() in {block.text for block in blocks(DOCUMENT)}
    lines = sum(len((EXAMPLE / name).read_text().splitlines()) for name in ("grid.toml", "tables.toml"))
    assert lines <= 30


def test_a_folder_anywhere_is_a_paper(folder: Path) -> None:
    session = Session(folder.parent / "store", device="cpu", workers=1)
    paper = find_paper(str(folder), session)
    assert (paper.name, paper.facts.title, paper.profile_name("")) == ("mine", "mine", "")
    plan = session.plan(paper.grid)
    first, second = PaperReport(paper, "", plan, session.store).tables()
    assert first.rows == (("Dermoscopy",), ("Fundoscopy",))
    assert first.columns == (("Clean",), ("FGSM",), ("PGD",))
    assert {cell.state for _, _, cell in first.walk()} == {"missing"}
    assert first.cell(("Dermoscopy",), ("Clean",)).reference == pytest.approx(0.876)
    assert first.cell(("Fundoscopy",), ("FGSM",)).reference is None
    assert second.columns == (("linf:1/255",), ("linf:4/255",))


def test_its_paper_toml_names_substitutions(folder: Path, blocks: Blocks) -> None:
    (text,) = (block.text for block in blocks(DOCUMENT) if block.file == "paper.toml")
    (folder / "paper.toml").write_text(text)
    paper = find_paper(str(folder), Session(folder.parent / "store", device="cpu", workers=1))
    assert paper.profile_name("") == "smoke"
    assert [s.label for s in paper.profile("smoke").substitutions] == ["skin"]


def test_its_figures_toml_is_read(folder: Path, blocks: Blocks) -> None:
    (text,) = (block.text for block in blocks(DOCUMENT) if block.file == "figures.toml")
    (folder / "figures.toml").write_text(text)
    (figure,) = find_paper(str(folder), Session(folder.parent / "store", device="cpu", workers=1)).figures
    assert isinstance(figure, ImagesSpec)
    assert figure.probes == ["examples", "grad-cam"]
    assert (figure.row_axes, figure.column_axes) == (["show"], ["dataset", "example"])


def test_what_a_folder_lacks_is_said(program: Callable[..., Any], tmp_path: Path, folder: Path) -> None:
    (folder / "grid.toml").unlink()
    told = program("reproduce", str(folder))
    assert told.status != 0
    assert "has no grid.toml" in told.err
    told = program("reproduce", "ma2021")
    assert "did you mean 'ma2020'?" in told.err
    assert "docs/papers.md" in told.err
