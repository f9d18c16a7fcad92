"""What a report rests on: its records, the tables and figures it was asked for, and one number."""

from __future__ import annotations

from medrobust.api import Record, measure
from medrobust_leaderboard.report import PaperReport


def records(report: PaperReport, **labels: str) -> list[Record]:
    labels = {"detector": "", **labels}
    cells = [s.cell for s in report.rows if s.cell and all(s.row[a] == v for a, v in labels.items())]
    return [r for _, r in report.store.records(dict.fromkeys(cells))]


def spec(report: PaperReport, id_: str) -> object:
    return next(s for s in (*report.paper.tables, *report.paper.figures) if s.id == id_)


def rate(report: PaperReport, **labels: str) -> float:
    (record,) = records(report, defense="none", **labels)
    value = measure("fooling_rate", record).scalar
    assert value is not None
    return value
