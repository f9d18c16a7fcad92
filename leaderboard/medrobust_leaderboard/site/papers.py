"""A page for each paper whose grid was run: tables, figures, claims, as `reproduce` shows them."""

from __future__ import annotations

import itertools
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from medrobust import MedrobustError
from medrobust.api import Plan, Session

from ..figure_specs import FigureSpec, ImagesSpec, SurfacesSpec
from ..finding import find_paper
from ..page import paper_context
from ..report import PaperReport
from ..specs import Paper, read_paper
from ..table import summarize
from .contents import Contents, slug
from .gallery import terms_of
from .page import File, Page, ToCells
from .telling import Telling


@dataclass(frozen=True)
class PaperPage:
    """One paper in one profile, from one store.

    Attributes:
        id: for its file.
        name, profile, title: of the paper.
        summary: how many numbers agree.
        claims: how many claims hold, in words.
        problem: why it cannot be shown; then there is no page.
        context: what its page shows.
        files: of its figures.
    """

    id: str
    name: str
    profile: str
    title: str = ""
    summary: str = ""
    claims: str = ""
    problem: str = ""
    context: Mapping[str, Any] = field(default_factory=dict, repr=False)
    files: tuple[Path, ...] = field(default=(), repr=False)

    @property
    def called(self) -> str:
        """Name and profile."""
        return ", profile ".join(part for part in (self.name, self.profile) if part)


def paper_pages(papers: Sequence[PaperPage]) -> Iterator[Page | File]:
    """The pages of papers with their figures, and the list."""
    yield Page("papers.html", "papers.html", "Papers", {"papers": papers})
    for paper in papers:
        if not paper.problem:
            yield Page(f"papers/{paper.id}.html", "paper.html", paper.called, paper.context)
            yield from (File(f"papers/{paper.id}/{file.name}", file.read_bytes()) for file in paper.files)


def read_papers(
    sessions: Sequence[Session], contents: Contents, folder: Path, own: Sequence[str] = ()
) -> Iterator[PaperPage]:
    """Every paper and profile that the stores were asked for, by the newest request of each.

    Args:
        sessions: one for each store.
        contents: of the site.
        folder: where figures are drawn, in a folder for each page; one that shows the same is not drawn again.
        own: folders with tables that are no plugin's.

    Raises:
        MedrobustError: for a folder of one's own that holds no tables.
    """
    for place, session in enumerate(sessions):
        known = {**session.registry.papers(), **{p.name: p.folder for p in (find_paper(each, session) for each in own)}}
        requests = session.store.requests()
        asked: dict[tuple[str, str], str] = {}
        for grid, command in zip(requests["grid"], requests["command"], strict=True):
            name, _, rest = str(grid).partition("/")
            if name in known and rest.partition(":")[0] == "grid":
                asked[name, rest.partition(":")[2]] = command if isinstance(command, str) else ""
        for (name, profile), command in asked.items():
            id_ = "-".join(filter(None, (slug(name), slug(profile), str(place + 1) if len(sessions) > 1 else "")))
            try:
                yield _paper(id_, read_paper(known[name]), profile, command, session, contents, folder / id_)
            except MedrobustError as error:
                yield PaperPage(id_, name, profile, problem=contents.telling.reason(str(error)))


def _paper(
    id_: str, paper: Paper, profile: str, command: str, session: Session, contents: Contents, folder: Path
) -> PaperPage:
    # Here, as figures bring matplotlib.
    from ..claims import as_facts, summarize_claims
    from ..figure_data import draw_figures
    from ..figure_data.drawing import KEYS

    plan = session.plan(paper.grid, profile=profile, evidence=True, **_options(command))
    # Selected and drawn by labels as they are told, so that no other ones come into tables, figures and their data.
    paper, plan = _told_paper(paper, contents.telling), _told(plan, contents.telling)
    definitions = _definitions(plan, contents)
    pixels = list(with_pixels(paper))
    hidden = [] if _may_show(definitions, contents) else pixels
    terms = {terms_of(d, contents.registry) for d in definitions} if pixels and not hidden else set()
    report = PaperReport(
        replace(paper, figures=tuple(f for f in paper.figures if f not in hidden)), profile, plan, session.store
    )
    telling, facts = contents.telling, paper.facts
    tables, findings = [telling.all(table) for table in report.tables()], report.claims()
    told = {"paper": facts.citation, "records": telling.text(session.store.path.name)}
    about = f"Profile {profile}: {report.profile.description}" if profile else ""
    drawn = [(d.spec, d.saved) for d in draw_figures(report, folder) if d.saved]
    context = paper_context(
        facts.title if facts.title == paper.name else f"{paper.name}: {facts.title}",
        " ".join(part for part in (facts.question, about) if part),
        tables,
        substitutions=[{"paper": s.paper, "here": s.here, "reason": s.reason} for s in report.profile.substitutions],
        claims=telling.all([dict(as_facts(f)) for f in findings]),
        evidence=telling.all(_evidence(session, plan)),
        provenance={name: text for name, text in told.items() if text},
        departures=report.profile.departures,
        link=ToCells("../", contents.cells),
    )
    figures = [(spec, f"{id_}/{saved.svg.name}", f"{id_}/{saved.csv.name}") for spec, saved in drawn]
    return PaperPage(
        id_,
        paper.name,
        profile,
        facts.title,
        summarize(tables),
        summarize_claims(findings) if findings else "",
        context={**context, "figures": figures, "hidden": [f.title for f in hidden], "terms": sorted(terms)},
        # Not all that is in the folder: an earlier site may have shown images that this one does not.
        files=(folder / KEYS, *(file for _, saved in drawn for file in (saved.png, saved.svg, saved.csv))),
    )


def _told_paper(paper: Paper, telling: Telling) -> Paper:
    """A paper with its labels told; names of the files beside it stay, since they are read by them."""
    tables = (replace(telling.all(spec), reference=spec.reference) for spec in paper.tables)
    return replace(telling.all(paper), tables=tuple(tables))


def _told(plan: Plan, telling: Telling) -> Plan:
    entries = (
        replace(e, labels=telling.all(e.labels), tags=telling.all(e.tags), impossible=telling.reason(e.impossible))
        for e in plan.entries
    )
    return replace(plan, entries=tuple(entries))


def _evidence(session: Session, plan: Plan) -> list[dict[str, Any]]:
    return [
        {
            "subject": f"{row['model']} on {row['dataset']}, {row['norm']}",
            **{key: row[key] for key in ("check", "outcome", "detail", "advice")},
        }
        for row in session.evidence(plan, stored=True)
    ]


def _definitions(plan: Plan, contents: Contents) -> set[str]:
    rows = (contents.cells[cell].row for cell in plan.cells if cell in contents.cells)
    return {row["definition"] for row in rows if row.get("definition")}


def _may_show(definitions: Iterable[str], contents: Contents) -> bool:
    """Whether images of every data set may be shown."""
    publication = contents.telling.publication
    return publication.with_images and all(publication.shows_images(d, contents.registry) for d in definitions)


def with_pixels(paper: Paper) -> Iterator[FigureSpec]:
    """Figures that show images, or maps in which they can be seen; a perturbation alone shows none."""
    for figure in paper.figures:
        if isinstance(figure, SurfacesSpec) or (isinstance(figure, ImagesSpec) and figure.show != ["perturbation"]):
            yield figure


def _options(command: str) -> dict[str, Any]:
    """The options of the command that ran a paper which decide what its cells are."""
    words = [part for word in shlex.split(command) for part in word.split("=", 1)]
    found: dict[str, Any] = {}
    for before, word in itertools.pairwise(words):
        if before == "--images" and word.isdecimal():
            found["images"] = int(word)
        elif before == "--precision":
            found["precision"] = word
    return found
