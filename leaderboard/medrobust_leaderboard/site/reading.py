"""Reading what a site shows from stores."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from medrobust.api import NO_RECORD, Publication, Registry, Store

from ..store_cells import TABLE_AXES, Result
from ..store_results import StoreNumber, StoreResults, read_results
from ..store_tables import tables_of
from ..table import Table, joined
from .contents import Contents, Evidence, SiteCell, SiteModel, slug
from .gallery import Example, Kept, examples_of, kept_examples, terms_of
from .numbers import CellNumbers, numbers_of
from .telling import Telling

COLUMNS: Final = [
    *("target", "task", "classes", "norm", "eps", "iterations", "images", "draws", "stop", "batch_size", "white_box"),
    *("seconds", "forward_passes", "backward_passes", "peak_memory"),
    *("versions", "hardware", "created", "identity", "definition", "perturbation"),
]
"""What pages show of a row of the table `cells`."""
NOT_ASKED: Final = "Example images were kept, and are not published: this site was written without --with-images."
NOT_PERMITTED: Final = "Example images were kept, and are not published: their data set does not permit it."


@dataclass(frozen=True)
class _Found:
    """What a record gives."""

    numbers: CellNumbers
    examples: tuple[Example, ...] = ()
    withheld: str = ""
    terms: str = ""


def read_contents(
    stores: Sequence[Store], publication: Publication, registry: Registry, evidence: Sequence[Evidence]
) -> Contents:
    """All that stores hold, each cell once, as it may be told.

    Args:
        stores: where results are.
        publication: what may be told of them.
        registry: where data sets declare whether their images may be shown.
        evidence: what the records of all stores together say of each model.
    """
    telling = Telling(publication)
    results = read_results(stores, superseded=True)
    found = dict(_from_records(results, stores, publication, registry))
    rows = {place: _rows(store) for place, store in enumerate(stores)}
    results = replace(results, numbers=tuple(_linked(telling.all(number)) for number in results.numbers))
    cells: dict[str, SiteCell] = {}
    models: dict[str, SiteModel] = {}
    evidence = [telling.all(dict(row)) for row in evidence]
    for key, numbers in _by_model(results.numbers).items():
        model = _model_id(key)
        mine: dict[str, SiteCell] = {}
        for result in (r for number in numbers for r in number.results if r.cell):
            cell = _cell(result, model, rows[result.store], found.get((result.store, result.cell)), telling)
            known = mine.get(cell.id) or cells.get(cell.id)
            mine[cell.id] = cell if known is None else _with_name(known, cell)
        cells |= mine
        models[model] = _model(model, key, numbers, mine, results, evidence)
    return Contents(stores, _names_of(stores), cells, models, telling, registry)


# Records -------------------------------------------------------------------------------------------------------------


def _from_records(
    results: StoreResults, stores: Sequence[Store], publication: Publication, registry: Registry
) -> Iterator[tuple[tuple[int, str], _Found]]:
    all_results = [r for number in results.numbers for r in number.results]
    clean = {(r.store, r.cell) for r in all_results if r.cell and r.cell == r.clean}
    for place, store in enumerate(stores):
        wanted = {r.cell for r in all_results if r.store == place and r.status == "ok"}
        if not wanted:
            continue
        kept = kept_examples(store)
        frame = store.cells(["classes", "definition"])
        facts = frame[["classes", "definition"]].to_dict("index")
        for cell, record in store.records(wanted):
            numbers = numbers_of(record, clean=(place, cell) in clean)
            shown: tuple[Example, ...] = ()
            withheld = terms = ""
            if cell in kept:
                definition = str(facts[cell]["definition"])
                withheld = _withheld(definition, publication, registry)
                if not withheld:
                    shown = tuple(_examples(kept[cell], record, facts[cell]["classes"], store, publication))
                    terms = terms_of(definition, registry)
            yield (place, cell), _Found(numbers, shown, withheld, terms)


def _withheld(definition: str, publication: Publication, registry: Registry) -> str:
    if not publication.with_images:
        return NOT_ASKED
    return "" if publication.shows_images(definition, registry) else NOT_PERMITTED


def _examples(
    kept: Kept, record: Any, classes: Iterable[str] | None, store: Store, publication: Publication
) -> Iterator[Example]:
    named = [str(c) for c in (() if classes is None else classes)]
    if not named:
        named = [str(i) for i in range(max(record.clean.shape[1], 2))]
    yield from examples_of(kept, record, named, store, publication)


# Rows ----------------------------------------------------------------------------------------------------------------


def _rows(store: Store) -> Mapping[str, Mapping[str, Any]]:
    frame = store.cells(COLUMNS)
    frame = frame.astype(object).where(frame.notna(), None)
    found: Mapping[str, Mapping[str, Any]] = frame[COLUMNS].to_dict("index")  # type: ignore[assignment]
    return found


def _cell(
    result: Result, model: str, rows: Mapping[str, Mapping[str, Any]], found: _Found | None, telling: Telling
) -> SiteCell:
    lost = result.status == "ok" and found is None
    return SiteCell(
        id=_id(result),
        names=(result.labels,),
        model=model,
        place=result.store,
        status="missing" if lost else result.status,
        reason=NO_RECORD if lost else telling.reason(result.reason),
        superseded=result.superseded,
        mark=result.mark,
        evidence=result.evidence,
        shared_groups=result.shared_groups,
        row=rows.get(result.cell, {}),
        numbers=found.numbers if found else None,
        examples=found.examples if found else (),
        withheld=found.withheld if found else "",
        terms=found.terms if found else "",
    )


def _id(result: Result) -> str:
    return f"{result.cell}-{result.store + 1}" if result.origin else result.cell


def _linked(number: StoreNumber) -> StoreNumber:
    """A number that names the cells behind it, so that a table can lead to them."""
    cells = joined(_id(r) for r in number.results if r.cell)
    return replace(number, shown=replace(number.shown, facts={"cells": cells}))


def _with_name(known: SiteCell, other: SiteCell) -> SiteCell:
    """A cell that a grid calls by one more name."""
    names = known.names if other.labels in known.names else (*known.names, other.labels)
    return replace(known, names=names, evidence=known.evidence and other.evidence)


# Models --------------------------------------------------------------------------------------------------------------


def _by_model(numbers: Iterable[StoreNumber]) -> dict[tuple[str, ...], list[StoreNumber]]:
    groups: dict[tuple[str, ...], list[StoreNumber]] = {}
    for number in numbers:
        groups.setdefault((*number.first.key(TABLE_AXES), number.first.table_mark), []).append(number)
    return groups


def _model_id(key: tuple[str, ...]) -> str:
    """Readable, and unique: a short name and a hash of all labels."""
    _, _, model, defense, _, _ = key
    words = slug(model.partition("(")[0], 24) + ("" if defense == "none" else f"-{slug(defense.partition('(')[0], 24)}")
    return f"{words}-{hashlib.sha256(repr(key).encode()).hexdigest()[:8]}"


def _model(
    id_: str,
    key: tuple[str, ...],
    numbers: Sequence[StoreNumber],
    cells: Mapping[str, SiteCell],
    results: StoreResults,
    evidence: Sequence[Evidence],
) -> SiteModel:
    labels = dict(zip(TABLE_AXES, key, strict=False))
    current = tuple(n for n in numbers if not n.first.superseded)
    tables = tables_of(replace(results, numbers=current)) if current else []
    defense = "" if labels["defense"] == "none" else f" + {labels['defense']}"
    mark = f" ({key[-1]})" if key[-1] else ""
    targets = frozenset(r.target for n in current for r in n.results if r.target)
    return SiteModel(
        id=id_,
        title=f"{labels['model']}{defense} on {labels['dataset']}{mark}",
        labels=labels,
        table=_accuracy(tables[0]) if tables else None,
        cells=tuple(cells),
        targets=targets,
        evidence=tuple(each for each in evidence if each["target"] in targets),
    )


def _accuracy(table: Table) -> Table:
    """The table of a model, for the page whose title names the model."""
    caption = table.caption.removeprefix("accuracy: ")
    return replace(table, id="accuracy", title="Accuracy", caption=f"({caption.rstrip('.')})")


def _names_of(stores: Sequence[Store]) -> tuple[str, ...]:
    return tuple(store.path.name for store in stores)
