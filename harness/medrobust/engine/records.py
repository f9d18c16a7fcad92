"""From a row of a store back to its cell, and what of the store the cell needs to be run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ..contracts import UniversalAttack
from ..errors import GridError, MedrobustError, StoreError
from ..grid.cells import Cell
from ..grid.columns import columns
from ..grid.definition import cell_of
from ..grid.differences import reason
from ..grid.identity import difference, flatten
from ..grid.metadata import MetadataCache
from ..plugins.specs import CONTENT
from ..results.agreement import differing
from ..results.publication import WITHHELD
from ..results.store import Store

ELSEWHERE = CONTENT | {"class", "draws"}
"""Fields of an identity that follow from code, files and versions, and not from what a record defines."""


class NotRunnableError(MedrobustError):
    """A record whose cell cannot be run on this machine; the message says why."""


class ContradictionError(MedrobustError):
    """A record that contradicts itself, as a changed one does; the message says in what."""


def restored(row: Mapping[str, Any], metadata: MetadataCache) -> Cell:
    """The cell of a row of the table `cells`; its identity is the stored one.

    Raises:
        NotRunnableError: if a plugin or data set is not here, or code, files or versions are others.
        ContradictionError: if the row's columns, its definition and its identity do not belong together.
    """
    definition, identity = _content(row, "definition"), _content(row, "identity")
    if f"{WITHHELD}-" in row["definition"]:
        raise NotRunnableError("it rests on a local path, which its submission withholds")
    try:
        cell = cell_of(definition, metadata)
    except GridError as error:
        raise ContradictionError(str(error)) from None
    except MedrobustError as error:
        raise NotRunnableError(str(error)) from None
    expected = columns(cell)
    _check_identity(identity, json.loads(expected["identity"]))
    if cell.id != row["cell"]:
        raise ContradictionError(f"its fields give the identity {cell.id}")
    # The slot of a model from a checkpoint rests on the folder of the file, which a submission does not tell.
    unchecked = {"cell", "identity", "definition", *(("slot",) if "checkpoints" in definition else ())}
    names = (name for name in expected if name not in unchecked)
    if told := [words for _, words in differing(row, expected, names)]:
        raise ContradictionError("; ".join(told))
    return cell


def _content(row: Mapping[str, Any], column: str) -> dict[str, Any]:
    try:
        content = json.loads(row[column])
    except (TypeError, ValueError, RecursionError):
        content = None
    if not isinstance(content, dict):
        raise ContradictionError(f"its {column} cannot be read")
    return content


def _check_identity(stored: Mapping[str, Any], here: Mapping[str, Any]) -> None:
    found = difference(stored, here)
    if not found:
        return
    told = reason(stored, here)
    if any(ELSEWHERE & set(name.split(".")) for name, _, _ in found):
        raise NotRunnableError(told)
    before, after = dict(flatten(stored)), dict(flatten(here))
    if all(name not in before or name not in after for name, _, _ in found):
        raise NotRunnableError(f"other parameters: {told}")
    raise ContradictionError(f"its definition and its identity disagree: {told}")


def lend(cell: Cell, store: Store, borrower: Store) -> None:
    """Copy the weights and the perturbation that a cell is run with from one store to another.

    Raises:
        StoreError: if they are missing or damaged.
    """
    for target in (cell.target, *([cell.source] if cell.source else [])):
        identity = target.weights_id()
        if borrower.weights_of(identity) is not None:
            continue
        content = store.weights_of(identity)
        if content is None:
            raise StoreError(f"the store does not hold the weights of {target.name}")
        borrower.write_rows("fits", identity, [{"fit": identity, "weights": _copied(content, store, borrower)}])
    if isinstance(cell.root, UniversalAttack) and cell.perturbation_id not in borrower.artifacts():
        content = _copied(store.artifact(cell.perturbation_id), store, borrower)
        row = {"artifact": cell.perturbation_id, "kind": "perturbation", "content": content}
        borrower.write_rows("artifacts", cell.perturbation_id, [row])


def _copied(content: str, store: Store, borrower: Store) -> str:
    return borrower.save_tensors(store.load_tensors(content))
