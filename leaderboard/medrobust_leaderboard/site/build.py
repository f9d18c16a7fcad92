"""Making a site of stores: read, tell, write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from medrobust import MedrobustError
from medrobust.api import Publication, Session

from ..ranking import gather, ranking_of
from .cells import cell_pages
from .models import model_pages
from .overview import overview
from .papers import paper_pages, read_papers
from .plugins import plugin_pages, used_plugins
from .rankings import ranking_pages
from .reading import read_contents
from .writing import SECTIONS, Writer


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        index: the first page.
        cells, files, bytes: how many.
        withheld: cells whose example images were kept and are not shown, by the reason.
        problems: papers that cannot be shown, with the reason.
    """

    index: Path
    cells: int
    files: int
    bytes: int
    withheld: dict[str, int]
    problems: tuple[str, ...]


def write_site(
    sessions: Sequence[Session],
    folder: Path,
    *,
    title: str,
    papers: Sequence[str] = (),
    with_images: bool = False,
    with_ids: bool = False,
) -> Written:
    """Write a site of stores.

    Args:
        sessions: one for each store.
        folder: where to; a site that is there is replaced.
        title: what it is called.
        papers: folders with tables that are no plugin's.
        with_images: show example images of data sets that permit it.
        with_ids: show the ids of samples as they are.

    Raises:
        MedrobustError: if the folder holds something else than a site, or the stores hold no cells.
    """
    writer = Writer(folder, title)
    stores = [session.store for session in sessions]
    gathered = gather(stores)
    ranking, evidence = ranking_of(gathered), [row for rows in gathered.evidence.values() for row in rows]
    # It holds every record, and is not needed any more.
    del gathered
    publication = publication_of(sessions, with_images, with_ids)
    contents = read_contents(stores, publication, sessions[0].registry, evidence)
    if not contents.cells:
        raise MedrobustError(f"{stores[0].path} has no cells yet; 'medrobust run GRID --store STORE' computes some")
    ranking = contents.telling.all(ranking)
    shown = list(read_papers(sessions, contents, folder / "papers", papers))
    used = used_plugins(contents)
    if not shown:
        writer.sections = tuple(each for each in SECTIONS if each[0] != "papers")
    else:
        writer.write(paper_pages(shown))
    writer.write([overview(contents, ranking, shown)])
    writer.write(ranking_pages(ranking, contents))
    writer.write(model_pages(contents))
    writer.write(plugin_pages(used))
    writer.write(cell_pages(contents, {each.id for each in used}))
    writer.finish()
    withheld: dict[str, int] = {}
    for cell in contents.cells.values():
        if cell.withheld:
            withheld[cell.withheld] = withheld.get(cell.withheld, 0) + 1
    problems = tuple(f"{p.called}: {p.problem}" for p in shown if p.problem)
    return Written(folder / "index.html", len(contents.cells), len(writer.written), writer.bytes, withheld, problems)


def publication_of(sessions: Sequence[Session], with_images: bool, with_ids: bool) -> Publication:
    """One publication for several stores: equal ids have equal hashes in all of them."""
    each = [Publication.of(s.store, with_images=with_images, with_ids=with_ids) for s in sessions]
    paths = {path for publication in each for path in publication.paths}
    return replace(each[0], paths=tuple(sorted(paths, key=lambda p: (-len(p), p))))
