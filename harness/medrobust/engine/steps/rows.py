"""The row of a cell in the table `cells`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ...contracts import UniversalAttack
from ...contracts.plugin import unrepeatable
from ...grid.cells import Cell
from ...grid.columns import columns
from ...results.lost import made_from
from ...results.store import Store
from ..context import RunContext, hardware, versions
from ..models.weights import made_from_weights


def cell_row(cell: Cell, step: str, context: RunContext, status: str, reason: str, **more: Any) -> dict[str, Any]:
    """What is known of a cell whatever came of it; `more` are the columns that its step has measured.

    The reason of a cell that is ok is what tables say below its number.
    """
    if status == "ok":
        reason = "; ".join(text for text in (reason, _unrepeatable(cell)) if text)
    return {
        **columns(cell),
        "status": status,
        "reason": reason,
        "step": step,
        "versions": json.dumps(versions()),
        "hardware": hardware(context.device),
        "created": datetime.now(UTC),
        **more,
    }


def _unrepeatable(cell: Cell) -> str:
    """That equal seeds need not give this record again, by what plugins declare; empty if they should."""
    targets = [target for target in (cell.target, cell.source) if target is not None]
    specs = [spec for target in targets for spec in (target.model, target.defense)]
    specs += [spec for spec in (cell.attack, cell.detector.detector if cell.detector else None) if spec is not None]
    names = dict.fromkeys(f"{spec.plugin.kind} '{name}'" for spec in specs for name in unrepeatable(spec.plugin))
    declare = "declares" if len(names) == 1 else "declare"
    return f"{', '.join(names)} {declare} that equal seeds need not give equal records" if names else ""


def made_from_of(cell: Cell, store: Store) -> list[str]:
    """The column `made_from` of a cell: the weights and the perturbation that it is about to be computed with."""
    found = made_from_weights([cell.target, cell.source], store)
    if isinstance(cell.root, UniversalAttack):
        found += made_from({cell.perturbation_id: store.artifact(cell.perturbation_id)})
    return found
