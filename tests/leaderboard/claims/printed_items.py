"""The numbers that a paper prints as items of claims: records where they are rates of so many images.

`printed/PAPER.toml` says which number of the paper's reference files stands where. Numbers of different cells are taken
as independent, which is cautious: the papers' own images are the same throughout, and how they pair is not printed.
"""

from __future__ import annotations

import csv
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import TypeAdapter

import medrobust_leaderboard
from medrobust.api import Record, Value
from medrobust.results.statistics.auc import newcombe
from medrobust_leaderboard.claims.members import Item

PAPERS = Path(medrobust_leaderboard.__file__).parent / "papers"
FOLDER = Path(__file__).parent / "printed"
CLASSES = ("target", "other")


@dataclass(frozen=True)
class Numbers:
    """The rows of one reference file, and what they are.

    Attributes:
        claims: ids of the claims that they are for.
        table: file in the paper's reference folder; its columns but `reference` and `bracket` are labels.
        kind: `attacked`: accuracy on images correct when clean, with the row of attack `none` as clean accuracy;
            `fooled`: share of decisions changed; `targeted`: share decided as the target; `area`: an AUC.
        labels: labels that the file does not have; a table gives a label by data set.
        only: rows taken, by column.
        bracket: labels of the number in brackets, where it is of another cell.
        each: labels that a printed mean stands for, each of them.
        images: of how many images the numbers are; for an AUC, of each of the two sides.
        baseline: file with the share decided as the target without attack.
        metric: for an AUC, its name.
        unit: of the file.
    """

    claims: list[str]
    table: str
    kind: Literal["attacked", "fooled", "targeted", "area"]
    labels: dict[str, str | dict[str, str]] = field(default_factory=dict)
    only: dict[str, str] = field(default_factory=dict)
    bracket: dict[str, str] = field(default_factory=dict)
    each: dict[str, list[str]] = field(default_factory=dict)
    images: dict[str, int] = field(default_factory=dict)
    baseline: str = ""
    metric: str = ""
    unit: Literal["percent", "fraction"] = "percent"


@dataclass(frozen=True)
class Count:
    """In how many of a figure's tasks the text sees a finding."""

    claim: str
    figure: str


@dataclass(frozen=True)
class Printed:
    """What a paper prints of its claims, and what it does not, with the reason."""

    images: dict[str, int] = field(default_factory=dict)
    numbers: list[Numbers] = field(default_factory=list)
    counts: list[Count] = field(default_factory=list)
    in_part: dict[str, str] = field(default_factory=dict)
    not_printed: dict[str, str] = field(default_factory=dict)


def read_printed(paper: str) -> Printed:
    """What `printed/PAPER.toml` says."""
    content = tomllib.loads((FOLDER / f"{paper}.toml").read_text(encoding="utf-8"))
    return TypeAdapter(Printed).validate_python(content)


def reference(paper: str, table: str) -> list[dict[str, str]]:
    """The rows of a reference file."""
    with (PAPERS / paper / "reference" / table).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def items_for(paper: str, claim: str) -> list[Item]:
    """The items that a paper prints for one of its claims."""
    printed = read_printed(paper)
    return [item for n in printed.numbers if claim in n.claims for item in _items(paper, n, n.images or printed.images)]


def _items(paper: str, numbers: Numbers, images: Mapping[str, int]) -> Iterator[Item]:
    rows = [r for r in reference(paper, numbers.table) if all(r[k] == v for k, v in numbers.only.items())]
    scale = 100 if numbers.unit == "percent" else 1
    for row, combination in itertools.product(rows, itertools.product(*numbers.each.values())):
        labels = {k: v for k, v in row.items() if k not in ("reference", "bracket", "value")}
        for axis, label in numbers.labels.items():
            labels[axis] = label if isinstance(label, str) else label.get(row["dataset"], "")
        labels |= dict(zip(numbers.each, combination, strict=True)) | {"seed": "0"}
        told: dict[str, Any] = {"labels": labels, "n": images[row["dataset"]]}
        if numbers.kind == "attacked":
            told["clean"] = next(
                float(r["reference"]) / 100 for r in rows if (r["dataset"], r["attack"]) == (row["dataset"], "none")
            )
        if numbers.baseline:
            told["clean"] = next(
                float(r["reference"]) / 100
                for r in reference(paper, numbers.baseline)
                if (r["dataset"], r["goal"]) == (row["dataset"], row["goal"])
            )
        yield _item(numbers, share=float(row["reference"]) / scale, **told)
        if numbers.bracket:
            told["labels"] = labels | numbers.bracket
            yield _item(numbers, share=float(row["bracket"]) / scale, **told)


def _item(numbers: Numbers, share: float, labels: dict[str, str], n: int, clean: float = 0.0) -> Item:
    name = " ".join(labels.values())
    if numbers.kind == "area":
        low, high = newcombe(share, n, n)
        return Item(labels, name, name, values={numbers.metric: Value(share, low, high, 2 * n)})
    if numbers.kind == "attacked":
        right = round(n * clean)
        kept = right if labels["attack"] == "none" else round(right * share)
        made = record(n, np.arange(n) < right, np.arange(n) < kept)
    elif numbers.kind == "fooled":
        made = record(n, np.ones(n, dtype=bool), np.arange(n) >= round(n * share))
    else:
        made = targeted(n, round(n * clean), round(n * share))
    return Item(labels, name, name, CLASSES, made)


def record(n: int, clean: np.ndarray, adversarial: np.ndarray, target: int | None = None) -> Record:
    """A record of two classes: which images are decided as class 0, their label, when clean and under attack."""
    ids, zeros = np.array([str(i) for i in range(n)]), np.zeros(n, dtype=np.float32)
    one_hot = np.eye(2, dtype=np.float32)
    logits = [one_hot[(~hit).astype(np.int64)] * 4 for hit in (clean, adversarial)]
    return Record("multiclass", ids, np.zeros(n, dtype=np.int64), logits[0], logits[1], zeros, zeros, None, target)


def targeted(n: int, before: int, after: int) -> Record:
    """Images decided as the target before and after an attack, as if one had nothing to do with the other."""
    both = round(before * after / n)
    order = np.arange(n)
    return record(n, order < before, (order < both) | ((order >= before) & (order < before + after - both)), 0)
