"""The columns of a cell's row that follow from the cell alone; `definition.cell_of` gives the cell back from them."""

from __future__ import annotations

import json
from typing import Any

from ..contracts import TRAINED, UniversalAttack
from .cells import Cell
from .definition import definition_of


def columns(cell: Cell) -> dict[str, Any]:
    """What a row of the table `cells` says of a cell whatever comes of it."""
    info, surrogate, trained = cell.target.info, cell.surrogate, cell.target.axes()
    of_surrogate = surrogate.axes() if surrogate else dict.fromkeys(TRAINED, "")
    target_class = info.classes.index(cell.goal.target) if cell.goal and cell.goal.targeted else None
    sources = cell.source.weights if cell.source else ()
    return {
        "cell": cell.id,
        **cell.axes(),
        "architecture": trained["architecture"],
        "init": trained["init"],
        **{f"surrogate_{name}": of_surrogate[name] for name in TRAINED},
        "task": info.task,
        "classes": list(info.classes),
        "clean": cell.clean_id,
        "target": cell.target.id,
        "source": cell.source.id if cell.source else None,
        "target_class": target_class,
        "norm": cell.budget.norm if cell.budget else None,
        "white_box": surrogate is None,
        "stop": cell.stop,
        "part": cell.part.id,
        "slot": cell.slot,
        "weights": list(dict.fromkeys((*cell.target.weights, *sources))),
        "perturbation": cell.perturbation_id if isinstance(cell.root, UniversalAttack) else None,
        "identity": json.dumps(cell.fields),
        "definition": json.dumps(definition_of(cell)),
    }
