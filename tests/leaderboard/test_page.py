"""The page is well formed, complete, escaped, and fetches nothing."""

from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from medrobust_leaderboard.figures import CurvePanel, Series, curves, curves_data, save
from medrobust_leaderboard.page import page_figure, render_page
from medrobust_leaderboard.table import Table, TableCell

VOID = {"meta", "br", "img", "link", "hr", "input"}
CLAIMS = [
    {"id": "C1", "text": "One & <two>", "section": "section 4", "verdict": "holds", "effect": 0.42134,
     "interval": (0.3812, -0.05), "n": 240},
    {"id": "C2", "text": "Three", "section": "", "verdict": "cannot be tested here", "effect": None, "interval": None,
     "n": None, "missing": "the detector lid"},
    {"id": "C3", "text": "Four", "section": "", "verdict": "holds", "effect": float("nan")},
]  # fmt: skip
EVIDENCE = [{"subject": "cnn", "check": "eps 0 is clean", "outcome": "flagged", "advice": "Distrust it."}]


class Reader(HTMLParser):
    """Checks that tags close in order; keeps attributes, ids and links."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def values(self, attribute: str) -> Iterator[str]:
        return (found for _, attributes in self.tags if (found := attributes.get(attribute)) is not None)


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    reader.close()
    assert reader.open == []
    return reader


@pytest.fixture
def page(tmp_path: Path) -> str:
    key = (("PGD",), ("skin",))
    table = Table(
        id="table2",
        title="Table 2. Attacks",
        row_names=("attack",),
        rows=(key[0],),
        column_names=("dataset",),
        columns=(key[1],),
        cells={key: TableCell(value=0.8762, reference=0.9103, state="substituted")},
    )
    panels = [CurvePanel(title="skin", series=(Series(label="PGD", x=(0.0, 1.0), y=(0.9, 0.1)),))]
    saved = save(curves(panels, x_label="ε", y_label=""), curves_data(panels), tmp_path / "fig4")
    return render_page(
        "A <paper>",
        "First paragraph.\n\nSecond & last.",
        [table],
        [page_figure(saved, id="fig4", title="Figure 4.", caption='Said "so"')],
        [{"paper": "Kaggle", "here": "phantom-fundus"}],
        CLAIMS,
        EVIDENCE,
        {"date": "2025-01-01", "store": "runs/<x>"},
        ["The rate falls by a cosine & not by steps."],
    )


def test_the_page_is_well_formed_and_its_ids_are_unique(page: str) -> None:
    ids = list(read(page).values("id"))
    assert len(ids) == len(set(ids))
    links = [link[1:] for link in read(page).values("href") if link.startswith("#")]
    assert (
        {"table2", "fig4", "claims", "evidence", "provenance", "substitutions", "departures"} == set(links) <= set(ids)
    )


def test_the_page_fetches_nothing_and_runs_nothing(page: str) -> None:
    reader = read(page)
    assert not {"script", "link", "iframe", "object"} & {tag for tag, _ in reader.tags}
    assert all(source.startswith("data:image/svg+xml;base64,") for source in reader.values("src"))
    assert all(link.startswith(("#", "data:text/csv;base64,")) for link in reader.values("href"))
    assert "http" not in page
    assert "url(" not in page
    assert "@import" not in page


def test_the_page_shows_everything_given_escaped(page: str) -> None:
    for part in (
        "A &lt;paper&gt;", "<p>First paragraph.</p>", "<p>Second &amp; last.</p>", "87.6", "paper 91.0",
        "by a cosine &amp; not",
        "1 cell: 1 on substituted data, 0 missing", "phantom-fundus", "One &amp; &lt;two&gt;", "0.421 [0.381, −0.05]",
        "needs the detector lid", "holds (2), cannot be tested here (1)", "flagged (1)", "Distrust it.",
        "runs/&lt;x&gt;",
        "2025-01-01", "Said &#34;so&#34;", ">Table 2</a>",
    ):  # fmt: skip
        assert part in page
    assert "None" not in page
    assert ">nan" not in page.lower()


def test_sections_without_content_are_left_out() -> None:
    page = render_page("T", "", [])
    read(page)
    assert "0 cells: 0 missing" in page
    for heading in ("Claims of the paper", "Evidence for", "Substitutions", "Figures</h2>", "Tables</h2>"):
        assert heading not in page


def test_equal_content_gives_equal_pages() -> None:
    assert render_page("T", "x", []) == render_page("T", "x", [])
