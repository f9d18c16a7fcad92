"""The values of an axis: from what a grid says to choices, each with its label."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from ..contracts import BudgetSpec, Precision
from ..errors import GridError, MedrobustError, did_you_mean, shown
from ..plugins.registry import Registry
from ..plugins.specs import Spec, article, build, sweeps
from .blocks import FITTED_ON, Choice, DetectorSpec, GoalSpec, PartSpec, SurrogatePatch
from .definitions import Definitions
from .slices import Slice
from .values import known_keys, list_of, table_of, text_of, whole_number

LONGEST = 2000
"""Characters of what is said of a value, which may be any text."""
_SURROGATE_KEYS = ("dataset", "train_set", "model", "defense", "seed", "instance")
_NAMED = {"detector": ("name", "source"), "surrogate": _SURROGATE_KEYS}
"""Keys within a value that may hold the names of other values, which are called by these names."""


class Choices:
    """Reads the axes of one grid.

    Args:
        definitions: its names.
        registry: where plugins are looked up.
    """

    def __init__(self, definitions: Definitions, registry: Registry) -> None:
        self._definitions = definitions
        self._registry = registry

    def single(self, raw: Any, where: str) -> Any:
        """The one value of a key that is no axis, or what the name it gives stands for.

        Raises:
            GridError: for a name that is not defined or stands for several values.
        """
        values = [value for value, _ in self._definitions.resolve(raw, where)]
        if len(values) != 1:
            raise GridError(f"{where}: '{raw}' stands for {len(values)} values; one is expected")
        return values[0]

    def axis(self, axis: str, raw: Any, where: str) -> Iterator[Choice]:
        """The choices of one axis, definitions spliced in.

        Raises:
            GridError: naming the place and what was expected there.
        """
        keep = _NAMED.get(axis, ())
        for item in list_of(raw):
            for value, alias in self._definitions.resolve(item, where, keep=keep):
                try:
                    yield from self._choices(axis, value, alias, where)
                except GridError:
                    raise
                except (MedrobustError, ValueError) as error:
                    called = f" (@{alias})" if alias else ""
                    raise GridError(f"{where}{called}: {str(error)[:LONGEST]}") from None

    def _choices(self, axis: str, value: Any, alias: str, where: str) -> Iterator[Choice]:
        if axis in ("dataset", "model", "defense", "attack", "probe"):
            yield from self._plugins(axis, value, alias)
        elif axis == "train_set":
            yield _choice(Slice.parse(text_of(value)), alias)
        elif axis in ("craft_on", "evaluate_on"):
            yield from self._parts(axis, value, alias, where)
        elif axis == "goal":
            yield _choice(GoalSpec.parse(text_of(value)), alias)
        elif axis == "budget":
            yield _choice(BudgetSpec.parse(text_of(value)), alias)
        elif axis == "precision":
            yield _choice(_precision(text_of(value)), alias)
        elif axis == "surrogate":
            yield from self._surrogates(value, alias, where)
        elif axis == "detector":
            yield from self._detectors(value, alias, where)
        elif axis == "seed":
            yield _choice(whole_number(value, 0), alias)

    def _plugins(self, kind: str, value: Any, alias: str) -> Iterator[Choice]:
        table = {"name": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}
        name = table.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(f"expected the name of {article(kind)} or a table with `name`, got {shown(value)}")
        offer = self._registry.find(kind, name)
        variants = list(sweeps(offer, table, self._registry))
        if not variants:
            raise ValueError(f"{', '.join(k for k, v in table.items() if v == []) or name}: the list is empty")
        swept = [k for k in table if len({repr(v.get(k)) for v in variants}) > 1]
        for variant in variants:
            label = alias
            if alias and swept:
                label = f"{alias}[{', '.join(f'{k}={_show(variant[k])}' for k in swept)}]"
            spec = build(offer, variant, self._registry, label)
            yield Choice(spec, spec.label)

    def _parts(self, axis: str, value: Any, alias: str, where: str) -> Iterator[Choice]:
        default = "test" if axis == "evaluate_on" else "train"
        if isinstance(value, str):
            yield _choice(PartSpec(Slice.parse(value)), alias)
            return
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a slice or a data set, got {shown(value)}")
        table = dict(value)
        if "dataset" in table:
            known_keys(table, ("dataset", "slice"), where)
            dataset, text = table["dataset"], table.get("slice", default)
        else:
            text = table.pop("slice", default)
            dataset = table
        for choice in self._plugins("dataset", dataset, ""):
            yield _choice(PartSpec(Slice.parse(text_of(text)), choice.value), alias)

    def _surrogates(self, value: Any, alias: str, where: str) -> Iterator[Choice]:
        table = table_of(value, where)
        known_keys(table, _SURROGATE_KEYS, where)
        instance = table.get("instance")
        if instance not in (None, "other"):
            try:
                whole_number(instance, 0)
            except ValueError:
                raise ValueError(f"instance: expected a number (0 or more) or 'other', got {shown(instance)}") from None
        keys = [k for k in table if k != "instance"]
        choices = [list(self.axis(k, table[k], f"{where}.{k}")) for k in keys]
        for combination in itertools.product(*choices):
            parts = [f"{k}={c.label}" for k, c in zip(keys, combination, strict=True)]
            parts += [f"instance={instance}"] if instance is not None else []
            patch = tuple((k, c.value) for k, c in zip(keys, combination, strict=True))
            yield Choice(SurrogatePatch(patch, instance), alias or ", ".join(parts) or "target")

    def _detectors(self, value: Any, alias: str, where: str) -> Iterator[Choice]:
        table = {"name": value} if isinstance(value, str) else dict(table_of(value, "detector"))
        if isinstance(name := table.get("name"), str) and name.startswith("@"):
            # A detector of that name with another source, say: it keeps its name.
            for named, own in self._definitions.resolve(name, where, keep=("name", "source")):
                base = {"name": named} if isinstance(named, str) else dict(table_of(named, "detector"))
                yield from self._detectors(
                    {**base, **{k: v for k, v in table.items() if k != "name"}}, alias or own, where
                )
            return
        sources = list_of(table.pop("source", "same"))
        fit_on = Slice.parse(text_of(table.pop("fit_on", FITTED_ON)))
        for choice in self._plugins("detector", table, alias):
            for source in sources:
                for attack in self._learned_from(source, where):
                    label = f"{choice.label}<{attack.label if attack else 'same'}"
                    if not alias and str(fit_on) != FITTED_ON:
                        label += f" on {fit_on}"
                    yield Choice(DetectorSpec(choice.value, attack, fit_on), label)

    def _learned_from(self, source: Any, where: str) -> Iterator[Spec | None]:
        """The attacks that a source names; None for the one that the detector faces."""
        for value, alias in self._definitions.resolve(source, where):
            if value == "same":
                yield None
            else:
                yield from (choice.value for choice in self._plugins("attack", value, alias))


def _precision(text: str) -> Precision:
    valid = get_args(Precision)
    if text not in valid:
        raise ValueError(f"no precision is called '{text}'{did_you_mean(text, valid)}")
    return text  # type: ignore[return-value]


def _choice(value: Any, alias: str) -> Choice:
    return Choice(value, alias or str(value))


def _show(value: Any) -> str:
    return str(value.get("name", value)) if isinstance(value, Mapping) else str(value)
