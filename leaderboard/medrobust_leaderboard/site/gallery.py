"""Example images of a cell: clean, adversarial and their difference, from what the probe `examples` kept."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from medrobust import StoreError, decide
from medrobust.api import Publication, Record, Registry, Store

MOST: Final = 12
"""Examples that a page shows."""


@dataclass(frozen=True)
class Example:
    """One image, before and after.

    Attributes:
        id: of the sample, as it may be told.
        truth: its class or labels; empty where unknown.
        before, after: what the model decided.
        clean, adversarial: PNG.
        difference: PNG of adversarial minus clean, grey where nothing changed.
        factor: by how much the difference is amplified.
        size: height and width in pixels.
    """

    id: str
    truth: str
    before: str
    after: str
    clean: bytes = field(repr=False)
    adversarial: bytes = field(repr=False)
    difference: bytes = field(repr=False)
    factor: float = 1.0
    size: tuple[int, int] = (0, 0)

    @property
    def changed(self) -> bool:
        """Whether the attack changed the decision."""
        return self.before != self.after


@dataclass(frozen=True)
class Kept:
    """What a probe kept of one cell."""

    content: str
    samples: tuple[str, ...]


def kept_examples(store: Store) -> Mapping[str, Kept]:
    """Where a store has example images, by cell; two probes of one cell give the larger set."""
    there = store.artifacts()
    found: dict[str, Kept] = {}
    for row in store.rows("artifacts").to_dict("records"):
        if row["kind"] != "probe" or row["artifact"] not in there:
            continue
        told = json.loads(row["description"])
        kept = Kept(row["content"], tuple(told.get("samples", ())))
        if len(kept.samples) > len(found.get(told["cell"], Kept("", ())).samples):
            found[told["cell"]] = kept
    return found


def terms_of(definition: str, registry: Registry) -> str:
    """The data set of a cell's images and its terms, which stand beside images that are shown."""
    written = json.loads(definition)
    part = written["evaluate_on"]
    name = (part if isinstance(part, dict) else written)["dataset"]["name"]
    plugin = registry.find("dataset", name)
    return f"{plugin.name} ({plugin.plugin.licence})" if plugin.plugin.licence else plugin.name


def examples_of(
    kept: Kept, record: Record, classes: Sequence[str], store: Store, publication: Publication
) -> Iterator[Example]:
    """The examples that were kept of a record; none where a probe kept something else than images."""
    try:
        arrays = {name: tensor.numpy() for name, tensor in store.load_tensors(kept.content).items()}
    except StoreError:
        return
    if not {"clean", "adversarial", "positions"} <= arrays.keys() or arrays["clean"].ndim != 4:
        return
    if arrays["clean"].shape[1] not in (1, 3):
        return
    positions = arrays["positions"][:MOST]
    multilabel = record.task == "multilabel"
    before = _names(decide(record.clean[positions], multilabel=multilabel), classes)
    after = _names(decide(record.adversarial[positions], multilabel=multilabel), classes)
    truth = [""] * len(positions) if record.labels is None else _names(record.labels[positions], classes)
    ids = publication.ids(record.ids[positions].tolist())
    for i, sample in enumerate(ids.tolist()):
        clean, adversarial = arrays["clean"][i], arrays["adversarial"][i]
        delta = adversarial - clean
        largest = float(np.abs(delta).max())
        factor = 0.5 / largest if largest > 0 else 1.0
        size = (int(clean.shape[1]), int(clean.shape[2]))
        yield Example(
            id=sample,
            truth=truth[i],
            before=before[i],
            after=after[i],
            clean=_png(clean),
            adversarial=_png(adversarial),
            difference=_png(0.5 + delta * factor),
            factor=factor,
            size=size,
        )


def _names(decided: NDArray[Any], classes: Sequence[str]) -> list[str]:
    """Decisions, or labels, in words."""
    if decided.ndim == 1:
        return [classes[int(i)] for i in decided]
    return [", ".join(c for c, yes in zip(classes, row, strict=True) if yes) or "none" for row in decided]


def _png(pixels: NDArray[Any]) -> bytes:
    """An image (c, h, w) in [0, 1] as PNG."""
    values = np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
    image = Image.fromarray(values[0] if len(values) == 1 else np.moveaxis(values, 0, -1))
    out = io.BytesIO()
    image.save(out, format="PNG", optimize=True)
    return out.getvalue()
