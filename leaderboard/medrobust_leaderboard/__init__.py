"""Tables, figures, papers and pages from the records and judgements of medrobust."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from medrobust import hookimpl

if TYPE_CHECKING:
    from medrobust.api import Judgement


@hookimpl
def medrobust_papers() -> Iterable[Path]:
    return sorted(f.parent for f in (Path(__file__).parent / "papers").glob("*/grid.toml"))


def write_judgement(judgement: Judgement, folder: Path | str) -> Path:
    """Write the page of a judgement into a folder; returns the file, which is self-contained."""
    from .judging.page import write_judgement as write

    return write(judgement, folder)
