"""The row of a cell in the table `cells`."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from ...grid.cells import Cell
from ...grid.columns import columns
from ..context import RunContext, hardware, versions


def cell_row(cell: Cell, step: str, context: RunContext, status: str, reason: str, **more: Any) -> dict[str, Any]:
    """What is known of a cell whatever came of it; `more` are the columns that its step has measured."""
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
