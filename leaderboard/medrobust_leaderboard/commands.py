"""The commands `reproduce` and `leaderboard`; `site` has a room of its own.

This module is imported at every start of the command line, so what takes time is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from medrobust import MedrobustError, __version__
from medrobust.api import did_you_mean
from medrobust.commands import (
    DataRootOption,
    DeviceOption,
    ImagesOption,
    PluginOption,
    PrecisionOption,
    StoreOption,
    WorkersOption,
    console,
    open_session,
    print_damage,
    print_evidence,
    print_notes,
    print_outcome,
    this_command,
)

from .site.command import site

if TYPE_CHECKING:
    from medrobust.api import Session

    from .claims import Finding
    from .report import PaperReport
    from .specs import Paper
    from .store_results import StoreResults
    from .table import Table
    from .tidy import Row

Format = Literal["terminal", "markdown", "html", "latex", "csv", "json"]
PaperProfile = Annotated[str, typer.Option("--profile", metavar="NAME", help="Size of the run: smoke, small or paper.")]
FormatOption = Annotated[Format, typer.Option("--format", help="Format of the tables.")]


def add_commands(cli: typer.Typer) -> None:
    """Add these commands to the command line."""
    cli.command()(reproduce)
    cli.command()(leaderboard)
    cli.command()(site)


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Name of a paper, such as ma2020.")],
    profile: PaperProfile = "smoke",
    store: StoreOption = None,
    images: ImagesOption = None,
    precision: PrecisionOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "",
) -> None:
    """Run a paper's grid and show its tables and figures, with the paper's values beside ours."""
    from medrobust.api import Terminal

    from . import render
    from .claims import claims_to_terminal, read_claims, unplanned
    from .report import PaperReport

    session = open_session(
        store or Path(f"medrobust-{paper}-{profile}"),
        plugin=plugin,
        data_root=data_root,
        workers=workers,
        device=device,
    )
    if paper not in session.registry.papers() and (claims := read_claims(Path(__file__).parent / "papers" / paper)):
        console.print(f"[bold]{paper}[/] has no grid yet, so its claims cannot be tested.\n", highlight=False)
        claims_to_terminal(unplanned(claims), console)
        raise typer.Exit(1)
    spec = find_paper(paper, session)
    facts = spec.profile(profile)
    console.print(f"[bold]{spec.name}[/], profile {profile}: {facts.description}", highlight=False, soft_wrap=True)
    plan = session.plan(
        spec.folder / "grid.toml", profile=profile, images=images, precision=precision or "", evidence=True
    )
    print_notes(session)
    outcome = session.run(plan, Terminal(console), command=this_command())
    evidence = session.evidence(plan)
    report = PaperReport(spec, profile, plan, session.store)
    tables = report.tables()
    for table in tables:
        console.print()
        render.to_terminal(table, console)
    findings = report.claims()
    if findings:
        console.print()
        claims_to_terminal(findings, console)
    console.print()
    print_evidence(evidence)
    if facts.substitutions:
        console.print("\n[bold]Substitutions[/]")
        for substitution in facts.substitutions:
            console.print(
                f"  {substitution.label}: {substitution.here}, for {substitution.paper}",
                highlight=False,
                soft_wrap=True,
            )
    if facts.departures:
        console.print("\n[bold]Departures from the paper[/]")
        for departure in facts.departures:
            console.print(f"  {departure}", markup=False, highlight=False, soft_wrap=True)
    console.print()
    page = write_report(report, tables, session, profile, findings, evidence)
    print_outcome(outcome, session.store.path)
    lost = print_damage(session.store)
    console.print(f"Page with tables and figures: {page}", markup=False, highlight=False, soft_wrap=True)
    if lost or not outcome.complete:
        raise typer.Exit(1)


def leaderboard(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Folder of a store.")],
    paper: Annotated[
        str, typer.Option("--paper", metavar="NAME", help="Show a paper's tables from this store's records.")
    ] = "",
    profile: PaperProfile = "smoke",
    output: FormatOption = "terminal",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Write files to this folder instead of printing.")
    ] = None,
    metric: Annotated[str, typer.Option("--metric", help="Metric to show, unless a paper is given.")] = "accuracy",
    superseded: Annotated[
        bool, typer.Option("--superseded", help="Also show results that later runs have replaced.")
    ] = False,
    images: ImagesOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Show the results in a store as tables, without computing any. csv and json are one tidy table for programs."""
    from .report import PaperReport
    from .store_results import read_results
    from .store_tables import superseded_line, tables_of
    from .tidy import PAPER_COLUMNS, STORE_COLUMNS, tidy_store, tidy_tables

    session = open_session(store, plugin=plugin, data_root=data_root)
    if not session.store.exists:
        raise MedrobustError(f"{store} is not a store; 'medrobust run GRID --store {store}' creates one")
    if paper:
        spec = find_paper(paper, session)
        plan = session.plan(spec.folder / "grid.toml", profile=profile, images=images)
        print_notes(session)
        tables: Sequence[Table] = PaperReport(spec, profile, plan, session.store).tables()
        evidence: Sequence[Mapping[str, Any]] = session.evidence(plan, stored=True)
        rows, columns, line = tidy_tables(tables), PAPER_COLUMNS, ""
    else:
        results = read_results(session.store, metric, superseded=superseded)
        tables = tables_of(results)
        evidence = evidence_on(results, session)
        rows, columns, line = tidy_store(results), STORE_COLUMNS, superseded_line(results, str(store))
    print_damage(session.store)
    if not tables and not rows:
        raise MedrobustError(f"{store} has no finished cells; 'medrobust run GRID --store {store}' computes some")
    if output in ("csv", "json"):
        show_tidy(rows, columns, output, out)
        return
    if line and tables and output != "terminal":
        tables = [*tables[:-1], replace(tables[-1], notes=(*tables[-1].notes, line))]
    show(tables, output, out)
    if output == "terminal" and paper:
        for departure in spec.profile(profile).departures:
            console.print(f"Departs from the paper: {departure}", markup=False, highlight=False, soft_wrap=True)
    if output == "terminal" and line:
        console.print(f"\n{line}", markup=False, highlight=False, soft_wrap=True)
    if output == "terminal" and evidence:
        console.print()
        print_evidence(evidence)


def show(tables: Sequence[Table], output: Format, out: Path | None) -> None:
    """Print tables, or write one file for each."""
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


def evidence_on(results: StoreResults, session: Session) -> list[dict[str, Any]]:
    """The stored evidence on the models that the tables show, under the names that they have there."""
    named = results.targets
    return [
        {**row, **{axis: named[row["target"]][axis] for axis in ("dataset", "model", "defense")}}
        for row in session.stored_evidence()
        if row["target"] in named
    ]


def find_paper(name: str, session: Session) -> Paper:
    """The paper of that name.

    Raises:
        MedrobustError: with the nearest valid name.
    """
    from .specs import read_paper

    papers = session.registry.papers()
    if name not in papers:
        raise MedrobustError(f"no paper is called '{name}'{did_you_mean(name, papers)}")
    return read_paper(papers[name])


def write_report(
    report: PaperReport,
    tables: Sequence[Table],
    session: Session,
    profile: str,
    findings: Sequence[Finding] = (),
    evidence: Sequence[Mapping[str, Any]] = (),
) -> str:
    """Write page, tables and figures beside the records; returns the page's path, relative to here."""
    from . import render
    from .claims import as_facts
    from .figure_data import draw_figures
    from .page import page_figure, render_page

    folder = session.store.path / "report"
    folder.mkdir(parents=True, exist_ok=True)
    drawn = draw_figures(report, folder)
    for table in tables:
        for suffix, text in (
            ("csv", render.to_csv(table)),
            ("md", render.to_markdown(table)),
            ("tex", render.to_latex(table)),
        ):
            (folder / f"{table.id}.{suffix}").write_text(text, encoding="utf-8")
    facts = report.paper.facts
    page = render_page(
        f"{report.paper.name}: {facts.title}",
        f"{facts.question} Profile {profile}: {report.profile.description}",
        tables,
        [page_figure(d.saved, id=d.spec.id, title=d.spec.title, caption=d.spec.caption) for d in drawn if d.saved],
        [{"paper": s.paper, "here": s.here, "reason": s.reason} for s in report.profile.substitutions],
        [as_facts(finding) for finding in findings],
        [
            {
                "subject": f"{row['model']} on {row['dataset']}, {row['norm']}",
                **{key: row[key] for key in ("check", "outcome", "detail", "advice")},
            }
            for row in evidence
        ],
        provenance=provenance(session, facts.citation, facts.departures),
        departures=report.profile.departures,
    )
    file = folder / "index.html"
    file.write_text(page, encoding="utf-8")
    return os.path.relpath(file)


def provenance(session: Session, citation: str, departures: Sequence[str]) -> dict[str, str]:
    """Where the numbers come from."""
    cells = session.store.cells(["versions", "hardware", "created"])
    facts = {"paper": citation, "medrobust": __version__}
    if len(cells):
        latest = cells.sort_values("created").iloc[-1]
        facts |= {
            "versions": latest["versions"],
            "hardware": latest["hardware"],
            "last record": str(latest["created"])[:19],
        }
    if departures:
        facts["interpretation of the protocol"] = " ".join(departures)
    return facts
