"""Texts of strangers are texts, wherever they are shown: in a browser, a document, a terminal."""

from __future__ import annotations

import io
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from medrobust import MedrobustError
from medrobust.commands import console
from medrobust_leaderboard.page import PageFigure, render_page
from medrobust_leaderboard.render import to_html, to_latex, to_markdown
from medrobust_leaderboard.specs import read_paper
from medrobust_leaderboard.table import Table, TableCell

TEXTS = {
    "a tag": "<img src=x onerror=document.title='taken'>",
    "an end of an attribute": "\"' onmouseover=document.title='taken' x=\"",
    "an end of a script": "</script></style></title><script>document.title='taken'</script>",
    "a comment": "<!-- x --> --!> ]]>",
    "an entity": "&lt;script&gt; &#60;b&#62;",
    "a template": "{{ 7 * 7 }}{% include '/etc/passwd' %}",
    "a link": "[x](javascript:document.title='taken')![y](http://example.org/z.png)[a]: javascript:x",
    "a file for LaTeX": "\\input{/etc/passwd}\\write18{id}%$#_^~{}`",
    "control characters": "a\x1b[2J\x1b]8;;http://x\x1b\\b\x07c\x9bd\x00e",
    "another direction": "user\u202etxt.exe\u2066\u2069\u061c\u200b\ufeff\U000e0041",
    "lines": "one\n\n# two\r\n| three |\u2028four",
    "markup of rich": "[red]x[/] [link=http://example.org]y[/link] [/nothing]",
}
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]")
CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), "")


def table(text: str) -> Table:
    """A table that has a text wherever it can have one."""
    key = ((text,), (text,))
    return Table(
        id="table1",
        title=text,
        caption=text,
        row_names=("attack",),
        rows=(key[0],),
        column_names=("dataset",),
        columns=(key[1],),
        cells={key: TableCell(value=0.5, reference=0.4, state="failed", note=text)},
        notes=(text,),
    )


texts = pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)


@texts
def test_nothing_in_markdown_is_a_link_a_tag_or_an_entity(text: str) -> None:
    shown = to_markdown(table(text))
    assert not STEERS.search(shown)
    assert not re.search(r"(?<!\\)\](?=[(\[:])", shown)
    assert not re.search(r"(?<!\\)<(?!br>)", shown)
    assert not re.search(r"&(?!amp;)#?\w+;", shown)
    lines = shown.splitlines()
    assert sum(line.startswith("#") for line in lines) == 1
    assert sum(line.startswith("|") for line in lines) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in lines if line.startswith("|")} == {3}


@texts
def test_nothing_in_latex_is_a_command_of_the_text(text: str) -> None:
    shown = to_latex(table(text))
    assert not STEERS.search(shown)
    own = to_latex(table("x"))
    escapes = r"textbackslash|textasciitilde|textasciicircum|textasciigrave|textless|textgreater|textbar"
    found = set(re.findall(r"\\([A-Za-z]+)", shown)) - set(re.findall(r"\\([A-Za-z]+)", own))
    assert all(re.fullmatch(escapes, name) for name in found)
    for character in "%$#&":
        assert len(re.findall(rf"(?<!\\)\{character}", shown)) == len(re.findall(rf"(?<!\\)\{character}", own))
    shown = shown.replace("\\\\", "")  # ends of rows
    assert len(re.findall(r"(?<!\\)\{", shown)) == len(re.findall(r"(?<!\\)\}", shown))


@texts
def test_nothing_in_html_is_a_tag_of_the_text(text: str) -> None:
    shown, own = to_html(table(text)), to_html(table("x"))
    assert not STEERS.search(shown)
    assert re.findall(r"<(\w+)", shown) == re.findall(r"<(\w+)", own)
    assert not re.search(r"<[^>]*(onmouseover|onerror)=(?![^<]*&)", re.sub(r'"[^"]*"', '""', shown))


@texts
def test_nothing_steers_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    from rich.text import Text

    console.print(Text(text))
    console.print(text, markup=False, highlight=False, soft_wrap=True)
    shown = capsys.readouterr().out
    assert not STEERS.search(shown)


def page(text: str) -> str:
    """The page of a paper with a text in every place."""
    fact = {"id": text, "text": text, "section": text, "verdict": text, "effect": text, "interval": text}
    check = {"subject": text, "check": text, "outcome": text, "detail": text, "advice": text}
    figure = PageFigure(id="fig1", title=text, caption=text, svg="<svg xmlns='http://www.w3.org/2000/svg'/>", csv=text)
    return render_page(
        text, text, [table(text)], [figure], [{"paper": text, "here": text, "reason": text}], [fact], [check],
        {text: text}, [text],
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.skipif(not CHROMIUM, reason="no Chromium here: 'apt-get install chromium' installs one")
def test_a_browser_runs_and_fetches_nothing_of_any_text(tmp_path: Path) -> None:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: 'uv sync' installs it")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        for name, text in TEXTS.items():
            file = tmp_path / f"{name}.html"
            file.write_text(page(text), encoding="utf-8", errors="replace")
            opened: Any = browser.new_page()
            asked: list[str] = []
            opened.on("request", lambda request, asked=asked: asked.append(request.url))
            opened.goto(file.as_uri())
            for each in opened.locator("b, strong, td, th, li, p").all()[:60]:
                each.dispatch_event("mouseover")
            assert opened.title() != "taken", name
            assert opened.locator("script, iframe, object, img[onerror], [onmouseover]").count() == 0, name
            links = opened.locator("a").evaluate_all("all => all.map(each => each.getAttribute('href'))")
            assert all(link.startswith(("#", "data:text/csv")) for link in links), name
            assert [url for url in asked if not url.startswith(("file:", "data:"))] == [], name
            if not STEERS.search(text) and "\n" not in text:
                assert text in opened.locator("h1").inner_text(), name
            opened.close()
        browser.close()


def test_a_browser_would_be_taken_by_a_text_that_is_not_escaped(tmp_path: Path) -> None:
    """The texts are what they say: unescaped, tags are there."""
    assert len(re.findall(r"<(\w+)", TEXTS["a tag"])) == 1
    assert to_html(table("x")).replace("x", TEXTS["a tag"]).count("<img") > 1


@pytest.mark.parametrize("name", ["../evil", "/etc/evil", "a/b", "..", "a b", ""])
def test_a_table_is_written_to_no_other_folder(name: str, tmp_path: Path) -> None:
    (tmp_path / "paper.toml").write_text('title = "A paper"\n')
    (tmp_path / "grid.toml").write_text('[[grid]]\ndataset = "textures"\nmodel = "tiny-net"\n')
    (tmp_path / "tables.toml").write_text(
        f'[[table]]\nid = "{name}"\ntitle = "T"\nrows = ["attack"]\ncolumns = ["dataset"]\n'
        'value = [{ metric = "accuracy" }]\n'
    )
    with pytest.raises(MedrobustError, match=r"id: String should match"):
        read_paper(tmp_path)


def test_the_console_is_that_of_the_program() -> None:
    made = type(console)(file=io.StringIO())
    made.print("a\x1b[2Jb", markup=False)
    assert made.file.getvalue().strip() == "a\\x1b[2Jb"  # type: ignore[attr-defined]
