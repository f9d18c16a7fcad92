"""The first page: what is here, who leads, and what is not to be believed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ..ranking import Ranking
from .cells import STATE_TONES
from .contents import Contents
from .page import Page
from .papers import PaperPage

PLACES, BOARDS, LEADERS = 12, 8, 3
"""Sets of images, budgets of each, and rows of the only budget that the overview shows."""


def overview(contents: Contents, ranking: Ranking, papers: Sequence[PaperPage]) -> Page:
    """The page `index.html`."""
    cells = contents.cells.values()
    states = Counter(cell.state for cell in cells)
    attacks = {cell.labels["attack"] for cell in cells if not cell.clean}
    created = [cell.row["created"] for cell in cells if cell.row.get("created") is not None]
    context = {
        "counts": [
            (f"{len(cells):,}", "cell" if len(cells) == 1 else "cells", "cells.html"),
            *_count(contents, "dataset", "data set"),
            *_count(contents, "model", "model"),
            (f"{len(attacks):,}", "attack" if len(attacks) == 1 else "attacks", "plugins.html"),
        ],
        "states": [(state, states[state], STATE_TONES[state]) for state in STATE_TONES if states[state]],
        "places": {
            place: [(board, [row for row in board.standings.rows if not row.barred]) for board in boards]
            for place, boards in ranking.places.items()
        },
        "shown": {"places": PLACES, "boards": BOARDS, "leaders": LEADERS},
        "flagged": [model for model in contents.models.values() if model.flagged],
        "papers": papers,
        "stores": contents.names,
        "latest": f"{max(created):%Y-%m-%d}" if created else "",
        "with_images": contents.telling.publication.with_images,
        "with_ids": contents.telling.publication.with_ids,
    }
    return Page("index.html", "index.html", "Overview", context)


def _count(contents: Contents, axis: str, what: str) -> list[tuple[str, str, str]]:
    number = len({model.labels[axis] for model in contents.models.values()})
    return [(f"{number:,}", what if number == 1 else f"{what}s", "models.html")]
