"""Tables, figures and papers from the records of medrobust."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from medrobust import hookimpl


@hookimpl
def medrobust_papers() -> Iterable[Path]:
    return sorted(f.parent for f in (Path(__file__).parent / "papers").glob("*/grid.toml"))
