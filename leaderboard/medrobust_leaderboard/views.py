"""What the specifications of tables and figures have in common: which cells are shown, and under what names."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field

from .labels import Labels, Where
from .profiles import FORBID
from .table import Unit


@dataclass(frozen=True)
class Rule:
    """What is shown under a label, for the cells that `where` matches; the first rule that matches counts.

    Attributes:
        metric: a metric, or in a table one of `COUNTS`.
        entry: of what has a number for each class, which of them, from 1; smaller data sets have no number there.
    """

    metric: str
    label: str = ""
    where: Labels = field(default_factory=dict)
    entry: Annotated[int, Field(ge=1)] | None = None
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True)
class Bracket:
    """The number in brackets beside a cell's own, such as that of a random control.

    Attributes:
        metric: what is shown; the cell's own metric if not given.
        replace: axis values that replace the cell's own (`with` in the file).
        label: what the number is, as the legend says it.
        unit, decimals: how it is shown, and written in the reference; as the table's own numbers if not given.
    """

    metric: str = ""
    replace: Annotated[dict[str, str], Field(alias="with")] = field(default_factory=dict)
    label: str = "the control's"
    unit: Unit | None = None
    decimals: int | None = None
    __pydantic_config__: ClassVar[ConfigDict] = FORBID


@dataclass(frozen=True, kw_only=True)
class View:
    """What tables and figures have in common: which cells they show, and under what names.

    Attributes:
        where: the labels wanted by axis, which also orders them; several tables of labels add up.
        mean_over: axes over which a number is a mean.
        names: how labels are shown, by axis.
    """

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")]
    title: str
    caption: str = ""
    where: Where = field(default_factory=dict)
    mean_over: list[str] = field(default_factory=list)
    names: dict[str, dict[str, str]] = field(default_factory=dict)
    __pydantic_config__: ClassVar[ConfigDict] = FORBID

    def shown(self, axis: str, label: str) -> str:
        """A label as readers see it."""
        return self.names.get(axis, {}).get(label, label)
