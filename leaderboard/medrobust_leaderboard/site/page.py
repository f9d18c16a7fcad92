"""A page of a site, before it is rendered, and where pages are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..table import TableCell


@dataclass(frozen=True)
class Page:
    """One page.

    Attributes:
        path: below the folder of the site, such as `cells/0a1b.html`.
        template: below `templates/site`.
        title: of the page; the site's own title is added.
        context: what the template shows.
    """

    path: str
    template: str
    title: str
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def root(self) -> str:
        """The way from this page to the folder of the site."""
        return "../" * self.path.count("/")

    @property
    def section(self) -> str:
        """What of the site it belongs to: `cells` for `cells/0a1b.html` and `cells.html`."""
        return self.path.removesuffix(".html").partition("/")[0]


@dataclass(frozen=True)
class File:
    """Anything else that a site has: images, figures, data."""

    path: str
    content: bytes = field(repr=False)


def cells_address(root: str, cells: str) -> str:
    """Where the cells behind a number are shown: the page of one, or the list of several.

    Args:
        root: the way to the folder of the site.
        cells: ids, separated by "; ".
    """
    ids = [each for each in cells.split("; ") if each]
    if not ids:
        return ""
    return f"{root}cells/{ids[0]}.html" if len(ids) == 1 else f"{root}cells.html#cells={','.join(ids)}"


class ToCells:
    """Leads from a number to the cells behind it that the site has."""

    def __init__(self, root: str, known: Mapping[str, object]) -> None:
        self.root = root
        self.known = known

    def __call__(self, cell: TableCell) -> str:
        ids = [each for each in cell.facts.get("cells", "").split("; ") if each in self.known]
        return cells_address(self.root, "; ".join(ids))
