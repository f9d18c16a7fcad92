"""The command `reproduce`, and the commands that the leaderboard adds.

This module is imported at every start of the command line, so what takes time is imported where it is used.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from medrobust import __version__
from medrobust.commands import (
    AddressOption,
    DataRootOption,
    DeviceOption,
    EvidenceOption,
    ExecutorOption,
    ImagesOption,
    PluginOption,
    PrecisionOption,
    StoreOption,
    WorkersOption,
    console,
    local_folder,
    open_session,
    print_damage,
    print_evidence,
    print_notes,
    print_outcome,
    this_command,
)

from .judging.command import judge
from .leaderboard_command import PaperProfile, leaderboard
from .site.command import site

if TYPE_CHECKING:
    from medrobust.api import Session

    from .claims import Finding
    from .report import PaperReport
    from .table import Table


def add_commands(cli: typer.Typer) -> None:
    """Add these commands to the command line."""
    cli.command()(reproduce)
    cli.command()(leaderboard)
    cli.command()(site)
    cli.command()(judge)


def reproduce(
    paper: Annotated[str, typer.Argument(metavar="PAPER", help="Name of a paper, such as ma2020, or a folder.")],
    profile: PaperProfile = "",
    store: StoreOption = None,
    images: ImagesOption = None,
    precision: PrecisionOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    workers: WorkersOption = None,
    executor: ExecutorOption = "local",
    address: AddressOption = "",
    device: DeviceOption = "",
    evidence: EvidenceOption = True,
) -> None:
    """Run a paper's grid and show its tables and figures, with the paper's values beside ours."""
    from medrobust.api import Terminal

    from . import render
    from .claims import claims_to_terminal, read_claims, unplanned
    from .finding import default_store, find_paper
    from .report import PaperReport

    session = open_session(
        store or default_store(paper, profile),
        plugin=plugin,
        data_root=data_root,
        workers=workers,
        device=device,
        executor=executor,
        address=address,
    )
    if paper not in session.registry.papers() and (claims := read_claims(Path(__file__).parent / "papers" / paper)):
        console.print(f"[bold]{paper}[/] has no grid yet, so its claims cannot be tested.\n", highlight=False)
        claims_to_terminal(unplanned(claims), console)
        raise typer.Exit(1)
    spec = find_paper(paper, session)
    profile = spec.profile_name(profile)
    facts = spec.profile(profile)
    head = f", profile {profile}: {facts.description}" if profile else ""
    console.print(f"[bold]{spec.name}[/]{head}", highlight=False, soft_wrap=True)
    plan = session.plan(spec.grid, profile=profile, images=images, precision=precision or "", evidence=evidence)
    print_notes(session)
    outcome = session.run(plan, Terminal(console), command=this_command())
    checks = session.evidence(plan) if evidence else []
    report = PaperReport(spec, profile, plan, session.store, checks)
    tables = report.tables()
    for table in tables:
        console.print()
        render.to_terminal(table, console)
    findings = report.claims()
    if findings:
        console.print()
        claims_to_terminal(findings, console)
    console.print()
    print_evidence(checks)
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
    page = write_report(report, tables, session, profile, findings, checks)
    print_outcome(outcome, session.store.path)
    lost = print_damage(session.store)
    console.print(f"Page with tables and figures: {page}", markup=False, highlight=False, soft_wrap=True)
    if lost or not outcome.complete:
        raise typer.Exit(1)


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

    folder = local_folder(session.store.path, "report")
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
