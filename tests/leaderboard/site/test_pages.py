"""What is in the files of a site: everything that is promised, well formed, and nothing that is nobody's business."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from medrobust import MedrobustError
from medrobust.api import Store
from medrobust_leaderboard.site.build import write_site

PATIENT = "anna-smith"
VOID = {"meta", "br", "img", "link", "hr", "input"}
Program = Callable[..., Any]


@dataclass
class Document(HTMLParser):
    """A page: that its tags close in order, its ids and its addresses."""

    path: Path
    ids: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    open: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.path.read_text(encoding="utf-8"))
        assert self.open == [], self.path

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.ids += [found["id"] or ""] if "id" in found else []
        self.addresses += [address for key in ("href", "src") if (address := found.get(key))]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"{self.path}: </{tag}> closes nothing"
        assert self.open.pop() == tag, self.path


def documents(folder: Path) -> dict[Path, Document]:
    return {path.resolve(): Document(path) for path in folder.rglob("*.html")}


def texts(folder: Path) -> Iterator[tuple[Path, str]]:
    """All that is written, text that is in images included."""
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes().decode("utf-8", errors="replace")


def test_pages_are_well_formed_and_every_link_leads_somewhere(site: Any) -> None:
    pages = documents(site.folder)
    assert len(pages) > 60
    for path, page in pages.items():
        assert len(set(page.ids)) == len(page.ids), path
        for address in page.addresses:
            parts = urlsplit(address)
            if parts.scheme == "data":
                continue
            assert not parts.scheme, f"{path} leads to {address}: a site fetches nothing"
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            assert target.is_file(), f"{path}: {address}"
            if parts.fragment and not parts.fragment.startswith("cells="):
                assert parts.fragment in pages[target].ids, f"{path}: {address}"


def test_each_kind_of_page_is_there(site: Any, made: Any) -> None:
    cells = set(Store(made.store).cells([]).index)
    assert {path.stem for path in (site.folder / "cells").glob("*.html")} == cells
    assert site.written.cells == len(cells)
    assert len(list((site.folder / "models").glob("*.html"))) == 3
    assert len(list((site.folder / "ranking").glob("*.html"))) == 4
    assert [path.name for path in (site.folder / "papers").glob("*.html")] == ["trial.html"]
    kinds = {path.name.partition("-")[0] for path in (site.folder / "plugins").glob("*.html")}
    assert kinds == {"dataset", "model", "defense", "attack"}
    assert max(path.stat().st_size for path in (site.folder / "assets").iterdir()) < 300_000


def test_the_values_of_a_paper_stand_beside_ours(site: Any) -> None:
    assert "12.3" in site.page("papers/*.html").read_text()


def test_a_cell_says_what_it_is_and_how_to_compute_it_again(site: Any, made: Any, tmp_path: Path) -> None:
    frame = Store(made.store).cells(["attack", "defense", "dataset"])
    wanted = frame[(frame["attack"] == "sign") & (frame["defense"] == "none") & (frame["dataset"] == "textures")]
    cell = wanted.index[0]
    text = (site.folder / "cells" / f"{cell}.html").read_text()
    grid = re.search(r"<code>(\[\[grid\]\].*?)</code>", text, re.DOTALL)
    assert grid is not None
    (tmp_path / "cell.toml").write_text(html.unescape(grid[1]))
    planned = made.session().plan(tmp_path / "cell.toml")
    assert cell in planned.cells
    assert len([c for c in planned.cells.values() if c.attack is not None]) == 1
    for told in ("accuracy under attack", "Decisions by class", "Evidence on this model", "forward passes", "torch "):
        assert told in text


def test_a_plugin_is_told_by_its_own_documentation(site: Any) -> None:
    text = site.page("plugins/attack-steps-*.html").read_text()
    assert "tiny:steps" in text
    assert "step_size" in text
    bundled = html.unescape(site.page("plugins/defense-bit-depth-*.html").read_text())
    assert "Feature squeezing" in bundled
    assert "comes with medrobust" in bundled


@pytest.mark.long
def test_a_plugin_that_is_not_installed_is_named(made: Any, tmp_path: Path) -> None:
    write_site([made.session(plugins=())], tmp_path / "site", title="x")
    assert "tiny:steps" in (tmp_path / "site/plugins.html").read_text()
    assert documents(tmp_path / "site")


def test_names_are_shown_as_they_are_and_do_nothing(site: Any) -> None:
    for path in site.folder.rglob("*.html"):
        text = path.read_text()
        assert "<img src=x" not in text, path
        assert "<b>bold" not in text, path
        assert "<i>Attacks</i>" not in text, path
    assert "&lt;img src=x onerror=" in (site.folder / "models.html").read_text()


# What is nobody's business -------------------------------------------------------------------------------------------


@pytest.mark.long
@pytest.mark.parametrize("which", ["site", "discreet"])
def test_no_file_name_no_patient_and_no_path_is_told(which: str, request: pytest.FixtureRequest, made: Any) -> None:
    folder = request.getfixturevalue(which).folder
    for path, text in texts(folder):
        for secret in (PATIENT, str(made.hospital), made.hospital.name, str(made.store.parent), "test-0"):
            assert secret not in text, f"{path} tells {secret}"


def test_images_are_shown_where_their_terms_permit_it_and_only_if_asked(site: Any, discreet: Any, made: Any) -> None:
    assert not (discreet.folder / "images").exists()
    assert "data:image/png" not in "".join(text for _, text in texts(discreet.folder))
    frame = Store(made.store).cells(["dataset"])
    shown = {path.name.partition("-")[0] for path in (site.folder / "images").glob("*.png")}
    assert shown
    assert set(frame.loc[list(shown), "dataset"]) == {"textures"}
    assert discreet.written.withheld
    assert any("does not permit" in reason for reason in site.written.withheld)


def test_a_figure_with_images_needs_the_permission_of_all_its_data_sets(site: Any, discreet: Any) -> None:
    for each in (site, discreet):
        text = (each.folder / "papers/trial.html").read_text()
        assert "Fig. 1" in text
        assert "Not shown, as they have images of the data: Fig. 2" in text
        assert not list((each.folder / "papers/trial").glob("fig2*"))


@pytest.mark.long
def test_ids_are_shown_if_asked(made: Any, tmp_path: Path) -> None:
    write_site([made.session()], tmp_path / "site", title="x", with_images=True, with_ids=True)
    assert any("Image test-0" in text for _, text in texts(tmp_path / "site/cells"))


@pytest.mark.long
def test_images_of_an_earlier_site_are_removed(made: Any, tmp_path: Path) -> None:
    folder = tmp_path / "site"
    write_site([made.session()], folder, title="x", with_images=True)
    assert list((folder / "images").iterdir())
    (folder / "cells/gone.html").write_text("an earlier cell")
    write_site([made.session()], folder, title="x")
    assert not (folder / "images").exists()
    assert not (folder / "cells/gone.html").exists()


# Stores, and the command ---------------------------------------------------------------------------------------------


@pytest.mark.long
def test_a_cell_that_two_stores_have_is_shown_once(made: Any, site: Any, tmp_path: Path) -> None:
    shutil.copytree(made.store, tmp_path / "copy")
    sessions = [made.session(), type(made)(tmp_path / "copy", made.grid, made.hospital).session()]
    written = write_site(sessions, tmp_path / "site", title="x")
    assert written.cells == site.written.cells
    assert "store, copy" in (tmp_path / "site/index.html").read_text()


def test_the_list_of_cells_is_small(site: Any) -> None:
    text = (site.folder / "cells.js").read_text()
    content = json.loads(text.removeprefix("const CELLS = ").rstrip(";\n"))
    assert len(content["rows"]) == site.written.cells
    assert len(text) < 100 * len(content["rows"])


@pytest.mark.long
def test_the_command_says_where_the_site_is(program: Program, made: Any) -> None:
    told = program("site", made.store, "--out", "board", "--title", "Our board")
    assert told.status == 0
    assert "Site: board/index.html" in told.out
    assert "written without --with-images" in told.out
    assert "<title>Overview · Our board</title>" in Path("board/index.html").read_text()


def test_a_folder_with_other_files_is_left_alone(made: Any, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(MedrobustError, match="holds other files; choose a new or an empty folder"):
        write_site([made.session()], tmp_path, title="x")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_folder_that_is_no_store_is_an_error(program: Program) -> None:
    told = program("site", "nowhere")
    assert told.status == 1
    assert "nowhere is not a store" in told.err
    assert not Path("medrobust-site").exists()
