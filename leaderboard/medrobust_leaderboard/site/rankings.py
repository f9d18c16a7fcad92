"""The ranking: one list over all tracks, and a page for each track with attacks and their strength."""

from __future__ import annotations

from collections.abc import Iterator

from ..ranking import Board, Ranking
from ..table import TableCell
from .contents import Contents
from .page import File, Page, ToCells


def ranking_pages(ranking: Ranking, contents: Contents) -> Iterator[Page | File]:
    """The list over all tracks, and the page of each."""
    rows = [(board, row) for board in ranking.boards for row in board.standings.rows]
    yield Page(
        "ranking.html",
        "ranking.html",
        "Ranking",
        {
            "rows": rows,
            "boards": ranking.boards,
            "left_out": ranking.left_out,
            "model_of": contents.model_of,
            "percent": percent,
            "interval": interval,
        },
    )
    for board in ranking.boards:
        yield from _board_page(board, contents)


def _board_page(board: Board, contents: Contents) -> Iterator[Page | File]:
    figure = None
    if board.attacks is not None and (svg := front_svg(board)):
        figure = f"ranking/{board.track.id}.svg"
        yield File(figure, svg)
    yield Page(
        f"ranking/{board.track.id}.html",
        "board.html",
        board.track.title,
        {
            "board": board,
            "figure": figure,
            "model_of": contents.model_of,
            "link": ToCells("../", contents.cells),
            "percent": percent,
            "interval": interval,
        },
    )


def front_svg(board: Board) -> bytes:
    """Strength of attacks against their passes as a figure; empty where passes are not known."""
    return b""


def percent(cell: TableCell | float | None) -> str:
    """A rate as readers see it."""
    number = cell.value if isinstance(cell, TableCell) else cell
    return "–" if number is None else f"{100 * number:.1f} %"


def interval(cell: TableCell) -> str:
    """The interval of a rate; empty where there is none."""
    return "" if cell.low is None or cell.high is None else f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]"
