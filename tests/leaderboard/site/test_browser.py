"""The site in a browser: it opens from a file, sorts, filters, prints, and can be used by everybody.

Needs Chromium, which `.ci/run` installs (Debian's package `chromium`); axe-core, in `axe/`, checks accessibility.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: 'uv sync' installs it")

CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), ""
)
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: 'apt-get install chromium' installs one"),
]

AXE = Path(__file__).parent / "axe" / "axe.min.js"
DESKTOP, PHONE = (1280, 900), (390, 844)
KINDS = (
    "index.html",
    "ranking.html",
    "ranking/*.html",
    "papers.html",
    "papers/*.html",
    "models.html",
    "models/*.html",
    "models/*bit-depth*.html",
    "cells.html",
    "cells/*.html",
    "plugins.html",
    "plugins/attack-steps*.html",
)
"""One page of each kind."""
SCRIPT = "<img src=x onerror=document.title='taken'>"

Open = Callable[..., Any]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # Without a sandbox, as containers run as root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Any, site: Any) -> Iterator[Open]:
    """Opens a page of the site; no script of any may fail, and none may ask for anything but files."""
    contexts, complaints = [], []

    def open_(pattern: str, size: tuple[int, int] = DESKTOP, scheme: str = "light", **options: Any) -> Any:
        context = browser.new_context(
            viewport=dict(zip(("width", "height"), size, strict=True)), color_scheme=scheme, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{pattern}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"{pattern}: {error}"))
        page.on("request", lambda r: None if r.url.startswith(("file:", "data:")) else complaints.append(r.url))
        path, _, fragment = pattern.partition("#")
        page.goto(site.page(path).as_uri() + (f"#{fragment}" if fragment else ""))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


def column(page: Any, table: str, number: int) -> list[str]:
    return [text.strip() for text in page.locator(f"{table} tbody tr > :nth-child({number})").all_inner_texts()]


def follow(page: Any, link: Any) -> None:
    """Clicks on a link and waits until its page is loaded: a click alone is over when the next page begins."""
    with page.expect_navigation():
        link.click()


def choice(page: Any, name: str) -> Any:
    return page.locator(".filters").get_by_label(name)


def percents(texts: list[str]) -> list[float]:
    return [float(text.split("%")[0]) for text in texts]


@pytest.mark.parametrize(
    ("scheme", "size"),
    [
        pytest.param("light", DESKTOP, id="desktop"),
        pytest.param("dark", PHONE, id="phone in the dark"),
    ],
)
def test_every_kind_of_page_is_accessible_and_fits_its_screen(open_page: Open, scheme: str, size: Any) -> None:
    for kind in KINDS:
        page = open_page(kind, size, scheme)
        page.evaluate("document.querySelectorAll('details').forEach(each => each.open = true)")
        page.add_script_tag(path=str(AXE))
        found = page.evaluate("axe.run({ resultTypes: ['violations'], preload: false })")["violations"]
        assert [f"{kind}: {v['id']}: {v['nodes'][0]['html']}" for v in found] == []
        assert page.evaluate("document.documentElement.scrollWidth") <= size[0], kind
        assert page.title().endswith("A & <b>B</b>")
        page.close()


def test_the_ranking_sorts_by_mouse_and_keyboard(open_page: Open) -> None:
    page = open_page("ranking.html")
    head = page.get_by_role("columnheader", name="Worst case")
    head.click()
    sync_api.expect(head).to_have_attribute("aria-sort", "ascending")
    numbers = percents(column(page, "#ranking", 6))
    assert len(set(numbers)) > 2
    assert numbers == sorted(numbers)
    button = head.get_by_role("button")
    button.focus()
    page.keyboard.press("Enter")
    sync_api.expect(head).to_have_attribute("aria-sort", "descending")
    assert percents(column(page, "#ranking", 6)) == sorted(numbers, reverse=True)
    budget = page.get_by_role("columnheader", name="Budget")
    budget.get_by_role("button").focus()
    page.keyboard.press("Enter")
    sync_api.expect(budget).to_have_attribute("aria-sort", "ascending")
    budgets = column(page, "#ranking", 2)
    assert budgets == ["linf:4/255"] * (len(budgets) // 2) + ["linf:16/255"] * (len(budgets) // 2)


def test_the_ranking_is_filtered_by_choice_and_by_words(open_page: Open) -> None:
    page = open_page("ranking.html")
    every = column(page, "#ranking", 1)
    choice(page, "Data set").select_option(SCRIPT)
    assert set(column(page, "#ranking", 1)) == {SCRIPT}
    assert 0 < len(column(page, "#ranking", 1)) < len(every)
    choice(page, "Defense").select_option("bit-depth")
    assert set(column(page, "#ranking", 5)) == {"bit-depth"}
    assert f"(of {len(every)})" in page.locator(".dt-info").inner_text()
    choice(page, "Data set").select_option("all")
    choice(page, "Defense").select_option("all")
    page.get_by_label("Search models").fill("16/255 bit")
    assert set(column(page, "#ranking", 2)) == {"linf:16/255"}
    assert set(column(page, "#ranking", 5)) == {"bit-depth"}
    page.get_by_label("Search models").fill("nothing of the sort")
    assert "Clear the search" in page.locator("#ranking tbody").inner_text()


def test_a_row_leads_to_its_model_and_on_to_its_cells(open_page: Open) -> None:
    page = open_page("ranking.html")
    follow(page, page.locator("#ranking tbody th a").first)
    model = page.locator("h1").inner_text()
    follow(page, page.locator("figure.table td a").first)
    # A mean over two seeds leads to both cells.
    assert len(column(page, "#all-cells", 1)) == 2
    follow(page, page.locator("#all-cells a").first)
    assert model in page.locator(".trail").inner_text()


def test_the_list_of_cells_is_complete_and_filtered(open_page: Open, site: Any) -> None:
    page = open_page("cells.html")
    assert page.locator(".dt-info").inner_text() == f"1 to {site.written.cells} of {site.written.cells}"
    choice(page, "Attack").select_option("sign")
    attacks = column(page, "#all-cells", 4)
    assert set(attacks) == {"sign"}
    page.get_by_role("columnheader", name="Accuracy").click()
    place = [head.strip() for head in page.locator("#all-cells thead th").all_inner_texts()].index("Accuracy") + 1
    numbers = percents(column(page, "#all-cells", place))
    assert numbers == sorted(numbers)


def test_the_list_shows_the_cells_behind_one_number(open_page: Open, site: Any) -> None:
    ids = sorted(path.stem for path in (site.folder / "cells").glob("*.html"))[:3]
    page = open_page(f"cells.html#cells={','.join(ids)}")
    shown = page.locator("#all-cells a").evaluate_all("links => links.map(link => link.getAttribute('href'))")
    assert sorted(shown) == [f"cells/{each}.html" for each in ids]
    page.get_by_role("link", name="List all").click()
    page.wait_for_function("document.querySelectorAll('#all-cells a').length > 3")


def test_names_that_look_like_code_are_text(open_page: Open) -> None:
    page = open_page("cells.html")
    assert SCRIPT in column(page, "#all-cells", 1)
    assert choice(page, "Data set").locator("option", has_text="<img").count() == 1
    assert "taken" not in page.title()
    follow(page, page.locator("#all-cells a").first)
    assert SCRIPT in page.locator("h1 + .lead").inner_text()


def test_rows_name_their_columns_on_a_phone(open_page: Open) -> None:
    page = open_page("ranking.html", PHONE)
    first = page.locator("#ranking tbody tr").first
    labels = first.evaluate("row => [...row.cells].map(cell => getComputedStyle(cell, '::before').content)")
    assert labels[5] == '"Worst case"'
    assert page.get_by_role("table").first.get_by_role("row").count() > 2


def test_without_scripts_everything_is_there(open_page: Open) -> None:
    sorted_ = column(open_page("ranking.html"), "#ranking", 6)
    page = open_page("ranking.html", java_script_enabled=False)
    assert column(page, "#ranking", 6) == sorted_
    assert "needs JavaScript" in open_page("cells.html", java_script_enabled=False).locator("noscript").inner_text()


def test_it_prints_without_what_only_a_screen_needs(open_page: Open) -> None:
    page = open_page("ranking.html")
    page.emulate_media(media="print")
    assert not page.get_by_role("navigation", name="Site").is_visible()
    assert not page.locator(".filters").is_visible()
    assert page.locator("#ranking tbody tr").last.is_visible()
    assert page.pdf()[:4] == b"%PDF"


def test_the_way_to_the_content_is_short_by_keyboard(open_page: Open) -> None:
    page = open_page("index.html")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
