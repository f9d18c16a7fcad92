"""Files of the repository that lie outside the folder of documents: pages of the site, or files that a page links to.

README, CHANGELOG and CONTRIBUTING stay where readers of a repository look for them, and links between all documents
are those that work there; here they become links of the site.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = {
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "benchmarks/README.md": "benchmarks.md",
    "benchmarks/simulation.md": "simulation.md",
}
"""Where each of these files is as a page of the site."""
_LINK = re.compile(r"(?<=\]\()(?P<path>[^)\s:#]+)(?P<anchor>#[^)\s]*)?(?=\))")
_BAR_IN_CODE = re.compile(r"`[^`\n]*\\\|[^`\n]*`")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages, and every other file of the repository that a page links to."""
    from mkdocs.structure.files import File

    for source, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / source).read_text(encoding="utf-8")))
    linked = {
        target
        for file in files.documentation_pages()
        for link in _LINK.finditer(file.content_string)
        if (target := _target(link["path"], file.src_uri)) is not None and not target.startswith("docs/")
    }
    for target in sorted(linked - PAGES.keys()):
        files.append(File.generated(config, published(target), abs_src_path=str(ROOT / target)))
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The text of a page as the site needs it: links, and bars within code, which need no backslash in its tables."""
    return _BAR_IN_CODE.sub(lambda code: code[0].replace(r"\|", "|"), site_links(markdown, page.file.src_uri))


def site_links(markdown: str, page: str) -> str:
    """Markdown in which links of the repository are links of the site; `page` is where it is in the site."""

    def changed(link: re.Match[str]) -> str:
        target = _target(link["path"], page)
        if target is None:
            return link[0]
        return posixpath.relpath(published(target), posixpath.dirname(page) or ".") + (link["anchor"] or "")

    return _LINK.sub(changed, markdown)


def published(path: str) -> str:
    """Where a file of the repository is in the site."""
    if path in PAGES:
        return PAGES[path]
    return path.removeprefix("docs/") if path.startswith("docs/") else f"source/{path}"


def _target(link: str, page: str) -> str | None:
    """The file of the repository that a link of a page means; None if there is no such file (mkdocs then says so)."""
    origin = {site: source for source, site in PAGES.items()}.get(page, f"docs/{page}")
    path = posixpath.normpath(posixpath.join(posixpath.dirname(origin), link))
    return path if (ROOT / path).is_file() else None
