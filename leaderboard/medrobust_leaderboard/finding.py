"""A paper by its name, or by the folder that describes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from medrobust import MedrobustError
from medrobust.api import did_you_mean

if TYPE_CHECKING:
    from medrobust.api import Session

    from .specs import Paper

TABLES = "tables.toml"


def default_store(paper: str, profile: str) -> Path:
    """Where a paper's results are kept unless somebody says otherwise."""
    folder = Path(paper).is_dir()
    return Path("-".join(filter(None, ("medrobust", Path(paper).name, profile or ("" if folder else "smoke")))))


def find_paper(name: str, session: Session) -> Paper:
    """The paper of that name among the plugins, or the folder at that path.

    Raises:
        MedrobustError: with the nearest valid name, or what the folder lacks.
    """
    from .specs import read_paper

    papers = session.registry.papers()
    if name in papers:
        return read_paper(papers[name])
    folder = Path(name).absolute()
    if not folder.is_dir():
        raise MedrobustError(
            f"no paper is called '{name}'{did_you_mean(name, papers)}, and there is no such folder; a folder of your "
            f"own needs {TABLES} and grid.toml (docs/papers.md)"
        )
    for file in (TABLES, "grid.toml"):
        if not (folder / file).is_file():
            raise MedrobustError(f"{name} has no {file}; a folder with tables needs one (docs/papers.md)")
    return read_paper(folder)
