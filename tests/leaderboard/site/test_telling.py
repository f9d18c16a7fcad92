"""Every text of what is shown is told, wherever it is."""

from __future__ import annotations

from dataclasses import dataclass

from medrobust.api import Publication
from medrobust_leaderboard.site.telling import Telling
from medrobust_leaderboard.table import Table, TableCell


@dataclass(frozen=True)
class Inner:
    words: tuple[str, ...]
    number: float = 1.5


def test_texts_are_told_inside_of_everything() -> None:
    telling = Telling(Publication())
    told = telling.all({"at /home/anna/a b": [Inner(("from /home/anna/x.png", "plain"))]})
    assert "anna" not in repr(told)
    (inner,) = next(iter(told.values()))
    assert inner.words[1] == "plain"
    assert inner.number == 1.5


def test_a_table_keeps_its_cells() -> None:
    key = ("cnn(init=/home/anna/net.pth)",)
    table = Table(
        id="t",
        title="cnn(init=/home/anna/net.pth)",
        row_names=("model",),
        rows=(key,),
        column_names=("budget",),
        columns=(("linf:4/255",),),
        cells={(key, ("linf:4/255",)): TableCell(value=0.5, note="see /home/anna/notes.txt")},
    )
    told = Telling(Publication()).all(table)
    assert told.rows == (("cnn(init=net.pth)",),)
    assert told.columns == (("linf:4/255",),)
    assert told.cell(told.rows[0], told.columns[0]).value == 0.5
    assert "anna" not in repr(told)
