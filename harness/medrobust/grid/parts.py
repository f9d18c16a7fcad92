"""Parts of data sets: what models are trained on, universal perturbations crafted on, and cells evaluated on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..plugins.specs import Spec, described
from .identity import REVISIONS, Fields, digest
from .slices import Slice


@dataclass(frozen=True, eq=False)
class Part:
    """A slice of a data set."""

    dataset: Spec
    data: Fields
    slice: Slice
    split_seed: int

    @cached_property
    def fields(self) -> Fields:
        return {
            "data": self.data,
            "slice": str(self.slice),
            "split_seed": self.split_seed,
            "revision": REVISIONS["slice"],
        }

    @cached_property
    def id(self) -> str:
        return digest(self.fields)

    @cached_property
    def slot(self) -> str:
        return digest(described(self.fields))
