"""Tables of whatever a store holds: one for each data set, model and defense, attacks by budgets."""

from __future__ import annotations

from typing import Any

import pandas as pd

from medrobust import Store, Value, evaluate, metric, over_seeds

from .report import table_cell
from .table import Key, Table, TableCell

_TABLE = ["dataset", "train_set", "model", "defense", "evaluate_on"]
_ATTACK = ["attack", "goal", "surrogate", "craft_on"]


def boards(store: Store, name: str = "accuracy") -> list[Table]:
    """One table for each model on each data set; several seeds become a mean with an interval over them.

    Raises:
        MedrobustError: for an unknown metric.
    """
    bounds = metric(name).bounds
    cells = store.cells([*_TABLE, *_ATTACK, "budget", "eps", "norm", "seed", "reason"])
    values = {cell: evaluate(name, record) for cell, record in store.records(list(cells.index))}
    tables = []
    for number, (key, group) in enumerate(cells.groupby(_TABLE, sort=False), 1):
        tables.append(_board(dict(zip(_TABLE, key, strict=True)), group, values, name, bounds, f"board{number}"))
    return tables


def _board(
    key: dict[str, Any], group: pd.DataFrame, values: dict[str, Value], name: str, bounds: tuple[float, float], id_: str
) -> Table:
    group = group.sort_values(["norm", "eps"], na_position="first", kind="stable")
    shown = [a for a in _ATTACK if a == "attack" or group.loc[group["attack"] != "none", a].nunique() > 1]
    budgets = [b for b in dict.fromkeys(group["budget"]) if b]
    attacks: dict[tuple[str, ...], None] = {}
    places: dict[tuple[tuple[str, ...], str], list[Any]] = {}
    for row in group.to_dict("records"):
        label = tuple(str(row[a]) for a in shown)
        attacks[label] = None
        for budget in [row["budget"]] if row["budget"] else budgets or [""]:
            places.setdefault((label, budget), []).append(row)
    ordered = sorted(attacks, key=lambda a: (a[0] != "none", a[0] != "noise"))
    table_cells: dict[tuple[Key, Key], TableCell] = {
        (label, (budget,)): _cell(rows, values, bounds) for (label, budget), rows in places.items()
    }
    seeds = sorted({int(s) for s in group["seed"]})
    defense = "" if key["defense"] == "none" else f" + {key['defense']}"
    over = (
        f"mean over seeds {', '.join(map(str, seeds))} with t intervals"
        if len(seeds) > 1
        else f"seed {seeds[0]}, intervals over images"
    )
    return Table(
        id=id_,
        title=f"{key['model']}{defense} on {key['dataset']}",
        caption=f"{name}: trained on {key['train_set']}, evaluated on {key['evaluate_on']}; {over}.",
        row_names=tuple(shown),
        rows=tuple(ordered),
        column_names=("budget",),
        columns=tuple((b,) for b in budgets or [""]),
        cells=table_cells,
    )


def _cell(rows: list[Any], values: dict[str, Value], bounds: tuple[float, float]) -> TableCell:
    bad = next((r for r in rows if r["cell"] not in values), None)
    if bad is not None:
        return TableCell(state="failed", note=f"{bad['status']}: {bad['reason']}")
    found = [values[r["cell"]] for r in rows]
    return table_cell(over_seeds(found, bounds) if len(found) > 1 else found[0], None)
