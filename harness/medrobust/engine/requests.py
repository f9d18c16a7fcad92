"""What a run asks for, as rows of the table `requests`: by it a store knows which of its results are current."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow.compute as pc

from ..contracts import AXES, UniversalAttack
from ..grid.cells import Cell
from ..grid.identity import digest
from ..grid.plan import Plan
from ..results.store import Store


def write_request(plan: Plan, store: Store, command: str = "") -> None:
    """Write one file with a row for every combination of a plan that is not excluded.

    The file is named by its content, so that asking for the same again replaces it and only its time is new.
    """
    rows = list(_rows(plan))
    request = digest(plan.title, [[*(row[axis] for axis in AXES), row["cell"], row["tags"]] for row in rows])
    created = max(datetime.now(UTC), _after(store))
    common = {"request": request, "grid": plan.title, "command": command or None, "created": created}
    store.write_rows("requests", request, ({**row, **common} for row in rows))


def _after(store: Store) -> datetime:
    """The first moment after all requests in a store: the order of requests decides what is current, and clocks are
    set back."""
    latest: datetime | None = pc.max(store.tables.read("requests", ["created"])["created"]).as_py()
    return datetime.min.replace(tzinfo=UTC) if latest is None else latest + timedelta(microseconds=1)


def _rows(plan: Plan) -> list[dict[str, Any]]:
    weights: dict[tuple[int, int], list[str]] = {}
    rows = []
    for position, entry in enumerate(e for e in plan.entries if not e.excluded):
        cell = entry.cell
        row: dict[str, Any] = {
            "position": position,
            "cell": None,
            "reason": entry.impossible or None,
            **dict(zip(AXES, entry.labels, strict=True)),
            "probes": [cell.probe_id(probe) for probe in entry.probes] if cell is not None else None,
            "tags": json.dumps(dict(entry.tags)),
        }
        if cell is not None:
            # Targets are shared by very many cells and live as long as the plan.
            pair = (id(cell.target), id(cell.source))
            if pair not in weights:
                weights[pair] = _weights(cell)
            row |= {
                "cell": cell.id,
                "slot": cell.slot,
                "clean": cell.clean_id,
                "weights": weights[pair],
                "perturbation": cell.perturbation_id if isinstance(cell.root, UniversalAttack) else None,
            }
        rows.append(row)
    return rows


def _weights(cell: Cell) -> list[str]:
    """All weights that a cell depends on, and earlier iterations of them that a run which was stopped goes on from."""
    targets = (cell.target, *([cell.source] if cell.source else []))
    return list(dict.fromkeys(w for t in targets for w in (*t.weights, *t.earlier_weights)))
