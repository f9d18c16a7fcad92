"""Results of a check in a file, so that one that was stopped goes on, and what did not run is tried again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ...errors import MedrobustError
from .checking import Checked
from .trial import Outcome

_BEGINS = '{"name": "'
"""How every line begins."""


def read(file: Path) -> dict[str, Checked]:
    """The last result of each attack, by name; nothing if there is no such file.

    A line that was not written to its end, as by a kill or on a full disk, is taken off.

    Raises:
        MedrobustError: if it is not a file of results.
    """
    if not file.exists():
        return {}
    try:
        text = file.read_text(encoding="utf-8")
        whole = text[: text.rfind("\n") + 1]
        if rest := text.removeprefix(whole):
            if rest.startswith(_BEGINS) or _BEGINS.startswith(rest):
                file.write_text(whole, encoding="utf-8")
            else:
                whole = text
        rows = [_checked(json.loads(line)) for line in whole.splitlines()]
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
