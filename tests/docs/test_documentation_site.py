"""The documentation as a site: what its build generates is complete, and what it links to is there."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer
import yaml

import medrobust
from medrobust.cli import build

ROOT = Path(__file__).parents[2]


def hook(name: str) -> ModuleType:
    """A part of the build, imported as mkdocs imports it."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "docs" / "hooks" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


COMMANDS, NAMES, REPOSITORY = hook("commands_page"), hook("reference_pages"), hook("repository_pages")
SETTINGS: dict[str, Any] = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))


def leaves(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, each in command.commands.items():
        yield from leaves(each, f"{path} {name}") if hasattr(each, "commands") else [(f"{path} {name}", each)]


def test_the_page_of_commands_has_a_section_with_the_help_of_each() -> None:
    sections = dict(
        re.findall(r"^##+ (medrobust [\w -]+)\n(.*?)(?=^#|\Z)", COMMANDS.markdown(), re.MULTILINE | re.DOTALL)
    )
    app, _ = build()
    program = dict(leaves(typer.main.get_command(app), "medrobust"))
    assert {"medrobust run", "medrobust data get", "medrobust leaderboard", "medrobust judge"} <= program.keys()
    assert program.keys() <= sections.keys()
    for path, command in program.items():
        words = re.sub(r"[\\`]", "", sections[path])
        assert " ".join(re.sub(r"[\\`]", "", command.help).split()) in words, path
        for parameter in command.params:
            if "--help" not in parameter.opts:
                assert re.search(rf"^{re.escape(parameter.metavar or parameter.opts[0])}", words, re.MULTILINE) or (
                    f"\n{parameter.opts[0]}" in words
                ), f"{path}: {parameter.opts[0]}"


@pytest.mark.parametrize("package", NAMES.PACKAGES)
def test_the_page_of_a_package_has_each_public_name_once(package: str) -> None:
    stub = Path(medrobust.__file__).parents[1].joinpath(*package.split("."), "__init__.pyi")
    (listed,) = (
        ast.literal_eval(node.value)
        for node in ast.parse(stub.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign)
    )
    # Code in the introduction is indented, or it would be set as prose.
    assert not re.search(r"^(from|import|def) ", NAMES.markdown(package), re.MULTILINE)
    shown = re.findall(r"^::: [\w.]+\.(\w+)$", NAMES.markdown(package), re.MULTILINE)
    assert sorted(shown) == sorted(listed)


def test_every_package_with_public_names_has_a_page() -> None:
    stubs = (ROOT / "harness").rglob("__init__.pyi")
    assert {".".join(stub.parent.relative_to(ROOT / "harness").parts) for stub in stubs} == set(NAMES.PACKAGES)


def pages(entries: Any) -> Iterator[str]:
    for entry in entries:
        for page in entry.values():
            yield from [page] if isinstance(page, str) else pages(page)


def test_the_navigation_lists_pages_that_are_there_once() -> None:
    generated = {*REPOSITORY.PAGES.values(), COMMANDS.PAGE, *map(NAMES.page_of, NAMES.PACKAGES)}
    listed = list(pages(SETTINGS["nav"]))
    assert len(listed) == len(set(listed))
    assert generated <= set(listed) <= generated | {file.name for file in (ROOT / "docs").glob("*.md")}


def test_links_of_the_repository_become_links_of_the_site() -> None:
    text = "[a](docs/grid.md#keys), [b](CHANGELOG.md), [c](https://example.org/a.md), [d](examples/universal/grid.toml)"
    expected = (
        "[a](grid.md#keys), [b](changelog.md), [c](https://example.org/a.md), [d](source/examples/universal/grid.toml)"
    )
    assert REPOSITORY.site_links(text, "index.md") == expected
    assert REPOSITORY.site_links("[a](../README.md#data)", "grid.md") == "[a](index.md#data)"
    assert REPOSITORY.site_links("[a](attacks.md)", "benchmarks.md") == "[a](source/benchmarks/attacks.md)"


def test_every_link_between_documents_leads_to_a_file() -> None:
    documents = [*(ROOT / "docs").glob("*.md"), *(ROOT / source for source in REPOSITORY.PAGES)]
    assert len(documents) > 10
    for document in documents:
        for path in re.findall(r"\]\(([^)\s:#]+)(?:#[^)\s]*)?\)", document.read_text(encoding="utf-8")):
            assert (document.parent / path).is_file(), f"{document.name}: {path}"


class Fetched(HTMLParser):
    """What a browser fetches for a page, and does not wait to be asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        if tag in ("script", "img", "iframe", "source", "video", "audio") and values.get("src"):
            self.found.append(str(values["src"]))
        if tag == "link" and values.get("rel") in ("stylesheet", "preload", "preconnect", "icon"):
            self.found.append(str(values["href"]))


@pytest.mark.long
def test_the_site_is_built_without_a_warning_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    pytest.importorskip("mkdocstrings", reason="the group docs is not installed")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    built = sorted((tmp_path / "site").rglob("*.html"))
    assert len(built) > 15
    for page in built:
        reader = Fetched()
        reader.feed(page.read_text(encoding="utf-8"))
        assert reader.found
        assert [url for url in reader.found if re.match(r"(https?:)?//", url)] == [], page.name
    names = (tmp_path / "site" / "reference" / "medrobust" / "index.html").read_text(encoding="utf-8")
    assert 'id="medrobust.Attack"' in names
    assert "What an attack author implements." in names
