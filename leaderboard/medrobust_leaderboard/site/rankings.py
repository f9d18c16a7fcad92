"""The ranking: one list over all tracks, and a page for each track with attacks and their strength."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..ranking import Board, Ranking, draw_front
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
            "places": ranking.places,
            "left_out": ranking.left_out,
            "model_of": contents.model_page,
            "percent": percent,
            "interval": interval,
        },
    )
    for board in ranking.boards:
        yield from _board_page(board, contents)


def _board_page(board: Board, contents: Contents) -> Iterator[Page | File]:
    figure = None
    if front := _front(board):
        figure = f"ranking/{board.track.id}.svg"
        yield File(figure, front)
    yield Page(
        f"ranking/{board.track.id}.html",
        "board.html",
        board.track.title,
        {
            "board": board,
            "figure": figure,
            "model_of": contents.model_page,
            "link": ToCells("../", contents.cells),
            "percent": percent,
            "interval": interval,
        },
    )


def _front(board: Board) -> bytes:
    """Strength of attacks against their passes, as SVG; empty where passes are not known."""
    with tempfile.TemporaryDirectory() as folder:
        saved = draw_front(Ranking((board,)), Path(folder) / "front")
        return saved.svg.read_bytes() if saved else b""


def percent(cell: TableCell | float | None) -> str:
    """A rate as readers see it."""
    number = cell.value if isinstance(cell, TableCell) else cell
    return "–" if number is None else f"{100 * number:.1f} %"


def interval(cell: TableCell) -> str:
    """The interval of a rate; empty where there is none."""
    return "" if cell.low is None or cell.high is None else f"[{100 * cell.low:.1f}, {100 * cell.high:.1f}]"
