"""The command `leaderboard`.

This module is imported at every start of the command line, so what takes time is imported where it is used.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medrobust import MedrobustError
from medrobust.commands import (
    DataRootOption,
    ImagesOption,
    PluginOption,
    console,
    folder_or_url,
    open_session,
    print_damage,
    print_evidence,
    print_notes,
    shown_place,
)

if TYPE_CHECKING:
    from medrobust.api import Session, Store

    from .labels import Labels
    from .ranking import Ranking
    from .store_results import StoreResults
    from .table import Table
    from .tidy import Row

Format = Literal["terminal", "markdown", "html", "latex", "csv", "json"]
PaperProfile = Annotated[
    str,
    typer.Option("--profile", metavar="NAME", help="Size of the run: smoke (the default), small or paper."),
]


def leaderboard(
    stores: Annotated[
        list[Path], typer.Argument(metavar="STORE...", parser=folder_or_url, help="Folders or URLs of stores.")
    ],
    where: Annotated[
        list[str] | None,
        typer.Option("--where", metavar="AXIS=LABEL,...", help="Only these results, such as attack=pgd*,dataset=skin."),
    ] = None,
    compare: Annotated[
        tuple[str, str] | None,
        typer.Option("--compare", metavar="ATTACK ATTACK", help="Is the first attack stronger than the second?"),
    ] = None,
    metric: Annotated[
        str, typer.Option("--metric", help="Show a table of this metric for each model instead of the ranking.")
    ] = "",
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Such tables, with results that later runs have replaced.")
    ] = False,
    paper: Annotated[
        str,
        typer.Option("--paper", metavar="NAME", help="Show the tables of a paper, or of a folder with a tables.toml."),
    ] = "",
    profile: PaperProfile = "",
    output: Annotated[Format, typer.Option("--format", help="Format of the tables.")] = "terminal",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write files to this folder; the ranking comes with a figure."),
    ] = None,
    images: ImagesOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Rank the models and attacks in one or several stores, without computing any results.

    csv and json are one tidy table of all numbers, for programs.
    """
    from medrobust.api import parse_where

    wanted: Labels = {**parse_where(where or [])}
    session = open_session(stores[0], plugin=plugin, data_root=data_root)
    opened = _open(stores, session)
    if paper:
        _show_paper(session, paper, profile, output, out, images=images, data_root=data_root)
    elif metric or superseded or output in ("csv", "json"):
        _show_numbers(opened, metric or "accuracy", wanted, output, out, superseded=superseded)
    else:
        _show_ranking(opened, wanted, compare, output, out)
    for store in opened:
        print_damage(store)


def _open(paths: Sequence[Path], session: Session) -> list[Store]:
    from medrobust.api import Store

    found = [session.store, *(Store(path) for path in paths[1:])]
    for path, store in zip(paths, found, strict=True):
        if not store.exists:
            raise MedrobustError(f"{path} is not a store; 'medrobust run GRID --store {path}' creates one")
        if store.cells([]).empty:
            if print_damage(store):
                raise MedrobustError(f"{path} has lost its cells; the command above computes them again")
            raise MedrobustError(f"{path} has no finished cells; 'medrobust run GRID --store {path}' computes some")
    return found


# The ranking ---------------------------------------------------------------------------------------------------------


def _show_ranking(
    stores: Sequence[Store], where: Labels, compare: tuple[str, str] | None, output: Format, out: Path | None
) -> None:
    from .ranking import draw_front, duel_lines, ranking_tables, read_duels, read_ranking

    if compare is not None:
        print_lines(duel_lines(read_duels(stores, *compare, where)))
        return
    ranking = read_ranking(stores, where)
    if ranking.boards:
        show(ranking_tables(ranking), output, out)
    else:
        console.print("Nothing to rank: no attack with a radius on labelled images.", highlight=False, soft_wrap=True)
    if output == "terminal":
        print_lines(left_out_lines(ranking, [store.path for store in stores]))
    if out is not None and (saved := draw_front(ranking, out / "front")):
        typer.echo(f"wrote {saved.png}")
    if not ranking.boards:
        _show_numbers(stores, "accuracy", where, output, out)
    _show_detection(stores, where, output, out)


def _show_detection(stores: Sequence[Store], where: Labels, output: Format, out: Path | None) -> None:
    """The detectors of stores, if they have any, by their AUC."""
    from .store_results import read_results
    from .store_tables import tables_of

    if not any((store.cells(["detector"])["detector"].fillna("") != "").any() for store in stores):
        return
    tables = tables_of(read_results(stores, "detection_auc", where=where))
    if output == "terminal" and tables:
        console.print()
    show([replace(table, id=f"detection{n}") for n, table in enumerate(tables, 1)], output, out)


def left_out_lines(ranking: Ranking, paths: Sequence[Path]) -> list[str]:
    """What no table of a ranking shows, with the reason and, where there is one, the command that changes it."""
    places = shlex.join(shown_place(path) for path in paths)
    lines = []
    for left in ranking.left_out:
        count = f"{left.count} results" if left.count > 1 else "1 result"
        advice = f" ({left.advice.replace('STORE', places)})" if left.advice else ""
        lines.append(f"  {left.what}, {count}: {left.why}{advice}")
    return ["", "Left out", *lines] if lines else []


def print_lines(lines: Sequence[str]) -> None:
    """Plain lines, as they are."""
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)


# Tables of one metric ------------------------------------------------------------------------------------------------


def _show_numbers(
    stores: Sequence[Store], metric: str, where: Labels, output: Format, out: Path | None, *, superseded: bool = False
) -> None:
    from .store_results import read_results
    from .store_tables import superseded_line, tables_of
    from .tidy import STORE_COLUMNS, tidy_store

    results = read_results(stores, metric, superseded=superseded, where=where)
    if not results.numbers:
        raise MedrobustError("no result matches --where; `medrobust store ls STORE` lists what there is")
    if output in ("csv", "json"):
        show_tidy(tidy_store(results), STORE_COLUMNS, output, out)
        return
    evidence = evidence_on(results, stores)
    tables = tables_of(results, evidence)
    line = superseded_line(results, str(stores[0].path))
    if line and tables and output != "terminal":
        tables = [*tables[:-1], replace(tables[-1], notes=(*tables[-1].notes, line))]
    show(tables, output, out)
    if output == "terminal":
        print_lines([f"\n{line}"] if line else [])
        if evidence:
            console.print()
            print_evidence(evidence)


def evidence_on(results: StoreResults, stores: Sequence[Store]) -> list[dict[str, Any]]:
    """The stored evidence on the models that the tables show, under the names that they have there."""
    named: Mapping[str, Mapping[str, str]] = results.targets
    rows = [
        {str(k): v for k, v in row.items()} for store in stores for row in store.rows("evidence").to_dict("records")
    ]
    return [
        {**row, **{axis: named[row["target"]][axis] for axis in ("dataset", "model", "defense")}}
        for row in rows
        if row["target"] in named
    ]


# A paper's tables ----------------------------------------------------------------------------------------------------


def _show_paper(
    session: Session,
    name: str,
    profile: str,
    output: Format,
    out: Path | None,
    *,
    images: int | None,
    data_root: Path | None,
) -> None:
    from .finding import find_paper
    from .report import PaperReport
    from .tidy import PAPER_COLUMNS, tidy_tables

    spec = find_paper(name, session)
    profile = spec.profile_name(profile)
    plan = session.plan(spec.grid, profile=profile, images=images)
    print_notes(session)
    evidence = session.evidence(plan, stored=True)
    tables = PaperReport(spec, profile, plan, session.store, evidence).tables()
    if output in ("csv", "json"):
        show_tidy(tidy_tables(tables), PAPER_COLUMNS, output, out)
        return
    show(tables, output, out)
    if output == "terminal":
        print_lines([f"Departs from the paper: {departure}" for departure in spec.profile(profile).departures])
        if evidence:
            console.print()
            print_evidence(evidence)


# Printing and writing ------------------------------------------------------------------------------------------------


def show(tables: Sequence[Table], output: Format, out: Path | None) -> None:
    """Print tables, or write one file for each; what is for the terminal is always printed."""
    from . import render

    if output == "terminal":
        for number, table in enumerate(tables):
            if number:
                console.print()
            render.to_terminal(table, console)
        return
    suffix = {"markdown": "md", "html": "html", "latex": "tex"}[output]
    for table in tables:
        text = getattr(render, f"to_{output}")(table)
        if out is None:
            typer.echo(text)
        else:
            out.mkdir(parents=True, exist_ok=True)
            file = out / f"{table.id}.{suffix}"
            file.write_text(text, encoding="utf-8")
            typer.echo(f"wrote {file}")


def show_tidy(rows: Sequence[Row], columns: Sequence[str], output: Format, out: Path | None) -> None:
    """Print the tidy table, or write it to one file."""
    from .tidy import to_csv, to_json

    text = to_csv(rows, columns) if output == "csv" else to_json(rows, columns) + "\n"
    if out is None:
        typer.echo(text, nl=False)
        return
    out.mkdir(parents=True, exist_ok=True)
    file = out / f"leaderboard.{output}"
    file.write_text(text, encoding="utf-8")
    typer.echo(f"wrote {file}")
