"""Tables of the results in a store: one for each data set, model and defense, attacks by budgets."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from medrobust import BudgetSpec
from medrobust.api import Store, metric, reasons_in_words

from .labels import CLEAN, is_clean
from .machines import machine_note, precision_note
from .store_cells import TABLE_AXES, Result
from .store_results import StoreNumber, StoreResults, read_results
from .table import Key, Table, TableCell, Unit

ROW_AXES = ("attack", "goal", "precision", "surrogate", "craft_on", "detector")
LONG = 36
"""Characters from which a label of a row is shortened and spelled out below the table."""
UNITS: Mapping[str, tuple[Unit, int]] = {
    "fraction": ("percent", 1),
    "AUC": ("fraction", 3),
    "ratio": ("ratio", 3),
    "pixel range": ("pixel range", 4),
    "count": ("count", 0),
}
"""How a metric of each unit is shown: the unit, and digits after the point."""


def store_tables(store: Store, name: str = "accuracy", *, superseded: bool = False) -> list[Table]:
    """One table for each model on each data set; several seeds become a mean with an interval over them.

    Raises:
        MedrobustError: for an unknown metric.
    """
    return tables_of(read_results(store, name, superseded=superseded))


def tables_of(results: StoreResults, evidence: Iterable[Mapping[str, Any]] = ()) -> list[Table]:
    """The tables of what was read from a store; cells added for evidence are in none of them.

    Args:
        results: the numbers.
        evidence: what the checks of evidence found; numbers that it speaks against are marked.
    """
    doubted = {(row["target"], row["norm"]) for row in evidence if row["outcome"] == "flagged"}
    groups: dict[Key, list[StoreNumber]] = {}
    for number in results.numbers:
        if not number.first.evidence:
            key = (*number.first.key(TABLE_AXES), number.first.table_mark)
            groups.setdefault(key, []).append(number)
    return [_table(group, results, doubted, f"board{i}") for i, group in enumerate(groups.values(), 1)]


def superseded_line(results: StoreResults, place: str) -> str:
    """One line on the superseded results that are not shown; empty if there are none."""
    count = len(results.hidden)
    if not count:
        return ""
    what = "1 superseded result is" if count == 1 else f"{count} superseded results are"
    return (
        f"{what} not shown: {reasons_in_words(results.hidden)}; 'medrobust leaderboard {place} --superseded' shows "
        f"{'it' if count == 1 else 'them'}, 'medrobust store prune {place}' removes {'it' if count == 1 else 'them'}."
    )


def _table(
    numbers: Sequence[StoreNumber], results: StoreResults, doubted: Collection[tuple[str, str]], id_: str
) -> Table:
    first = numbers[0].first
    labels, shown_axes = first.labels, _shown_axes(numbers)
    budgets = sorted({n.first.labels["budget"] for n in numbers} - {""}, key=_budget_order) or [""]
    short = _short_names(n.first.labels["attack"] for n in numbers)
    marked = any(n.first.mark for n in numbers)

    def row_of(number: StoreNumber) -> Key:
        key = (short.get(number.first.labels[axis], number.first.labels[axis]) for axis in shown_axes)
        return (*key, number.first.mark) if marked else tuple(key)

    seeds = {r.labels["seed"] for n in numbers for r in n.results}
    cells: dict[tuple[Key, Key], TableCell] = {}
    for number in numbers:
        # The clean record is compared with every budget.
        for budget in budgets if is_clean(number.first.labels) else [number.first.labels["budget"]]:
            cells[row_of(number), (budget,)] = _marked(_with_seeds(number, seeds), number, doubted)
    unit, decimals = UNITS[metric(results.metric).unit]
    defense = "" if labels["defense"] == "none" else f" + {labels['defense']}"
    mark = f" ({first.table_mark})" if first.table_mark else ""
    members = [r for n in numbers for r in n.results if r.status == "ok"]
    # Each cell counts once, however many labels it has.
    counted = {r.cell: r for r in members}.values()
    notes = (
        *(f"{name}: {label}" for label, name in short.items()),
        precision_note(r.labels["precision"] for r in counted),
        machine_note(r.machine for r in counted),
    )
    return Table(
        id=id_,
        title=f"{labels['model']}{defense} on {labels['dataset']}{mark}",
        caption=f"{results.metric}: {_training(labels, members, results)}, evaluated on {labels['evaluate_on']}; "
        f"{_repetitions(numbers)}.",
        row_names=(*shown_axes, "distinguished by") if marked else tuple(shown_axes),
        rows=tuple(dict.fromkeys(row_of(n) for n in _in_order(numbers))),
        column_names=("budget",),
        columns=tuple((b,) for b in budgets),
        cells=cells,
        notes=tuple(note for note in notes if note),
        unit=unit,
        decimals=decimals,
    )


def _shown_axes(numbers: Sequence[StoreNumber]) -> list[str]:
    """The axes on which rows differ; precision also if all rows have one that is not float32, and every detector."""
    attacked = [n.first.labels for n in numbers if not is_clean(n.first.labels)]
    varying = [a for a in ROW_AXES if a == "attack" or len({labels[a] for labels in attacked}) > 1]
    if any(labels["precision"] not in ("", "float32") for labels in attacked) and "precision" not in varying:
        varying.insert(1, "precision")
    if any(labels["detector"] for labels in attacked) and "detector" not in varying:
        varying.append("detector")
    return varying


def _with_seeds(number: StoreNumber, seeds: Collection[str]) -> TableCell:
    """A number that was asked for with fewer seeds than others of its table says so."""
    asked = {r.labels["seed"] for r in number.results}
    if asked == set(seeds):
        return number.shown
    told = f"seed {', '.join(sorted(asked, key=natural))} only"
    return replace(number.shown, note="; ".join(note for note in (number.shown.note, told) if note))


def _marked(cell: TableCell, number: StoreNumber, doubted: Collection[tuple[str, str]]) -> TableCell:
    """A number under attack that evidence speaks against is marked."""
    norm = number.first.labels["budget"].partition(":")[0]
    if cell.state or not any((r.target, norm) in doubted for r in number.results):
        return cell
    return replace(cell, state="flagged")


def _short_names(labels: Iterable[str]) -> dict[str, str]:
    """Short names for long labels, which a legend spells out."""
    long = [label for label in dict.fromkeys(labels) if len(label) > LONG]
    return {label: f"{label.partition('(')[0][: LONG - 6]} #{i}" for i, label in enumerate(long, 1)}


def _training(labels: Mapping[str, str], members: Sequence[Result], results: StoreResults) -> str:
    """How the weights came about."""
    fields: Any = next((f for r in members if (f := results.identity(r.cell))), {})
    model = fields.get("target", {}).get("model", {})
    if model.get("recipe", {}).get("epochs") != 0:
        return f"trained on {labels['train_set']}"
    if "checkpoint" in model:
        return "imported weights"
    return "ImageNet weights, not trained here" if model.get("init") == "imagenet" else "weights not trained"


def _repetitions(numbers: Sequence[StoreNumber]) -> str:
    seeds = sorted({s for n in numbers for s in n.seeds}, key=natural)
    grouped = any(n.value is not None and n.value.groups is not None for n in numbers)
    over = "over patients or other groups of images" if grouped else "over images"
    if len(seeds) > 1:
        return f"mean over seeds {', '.join(seeds)} with t intervals"
    return f"seed {seeds[0]}, intervals {over}" if seeds else "nothing computed"


# Order ---------------------------------------------------------------------------------------------------------------


def _in_order(numbers: Sequence[StoreNumber]) -> list[StoreNumber]:
    """No attack, controls, then attacks as the grids list them, with the values of a sweep together and ascending."""
    families: dict[str, int] = {}
    for number in numbers:
        families.setdefault(_family(number.first), len(families))

    def place(number: StoreNumber) -> tuple[Any, ...]:
        result = number.first
        kind = 0 if result.labels["attack"] == CLEAN else 1 if _is_control(result) else 2
        return kind, families[_family(result)], natural(result.labels["attack"]), bool(result.superseded)

    return sorted(numbers, key=place)


def _family(result: Result) -> str:
    return re.split(r"[(\[]", result.labels["attack"])[0]


def _is_control(result: Result) -> bool:
    return result.control or result.labels["attack"] == "noise"


def natural(text: str) -> tuple[tuple[int, float, str], ...]:
    """Text so that numbers in it sort by size: `pgd(steps=2)` before `pgd(steps=10)`."""
    parts = re.split(r"(\d+(?:\.\d+)?)", text)
    return tuple((1, float(p), "") if i % 2 else (0, 0.0, p) for i, p in enumerate(parts))


def _budget_order(label: str) -> tuple[Any, ...]:
    """By norm, then radius; a grid's own names for budgets come last."""
    try:
        budget = BudgetSpec.parse(label)
    except ValueError:
        return (2, natural(label), 0.0, "")
    norms = ("linf", "l2", "l1", "l0", "unbounded")
    radius = (2, 0.0) if budget.eps is None else (int(budget.eps.unit != "pixel01"), float(budget.eps.value))
    return (0, ((norms.index(budget.norm), 0.0, ""),), radius, label)
