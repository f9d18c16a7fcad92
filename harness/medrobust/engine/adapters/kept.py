"""Results of a check in a file, so that one that was stopped goes on, and what did not run is tried again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ...errors import MedrobustError
from .checking import Checked
from .trial import Outcome


def read(file: Path) -> dict[str, Checked]:
    """The last result of each attack, by name; nothing if there is no such file.

    Raises:
        MedrobustError: if it is not a file of results.
    """
    if not file.exists():
        return {}
    try:
        rows = [_checked(json.loads(line)) for line in file.read_text(encoding="utf-8").splitlines()]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise MedrobustError(f"{file} holds no results of 'medrobust adapters check': {error}") from None
    return {row.name: row for row in rows}


def add(file: Path, checked: Checked) -> None:
    """Append one result."""
    with file.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(dataclasses.asdict(checked), default=str) + "\n")


def _checked(row: dict[str, Any]) -> Checked:
    outcomes = {name: Outcome(**row[name]) if row[name] else None for name in ("outcome", "twin_outcome", "twinned")}
    return Checked(**{**row, **outcomes, "aliases": tuple(row["aliases"])})
