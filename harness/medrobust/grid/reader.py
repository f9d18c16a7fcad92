"""Reading grids: TOML with definitions and profiles, every error naming file, key and remedy."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from ..contracts import AXES, BudgetSpec, Precision
from ..errors import GridError, MedrobustError, did_you_mean
from ..plugins.registry import Registry
from ..plugins.specs import article, build, sweeps
from .blocks import Block, Choice, DetectorSpec, GoalSpec, Grid, PartSpec, Stop, SurrogatePatch
from .slices import Slice

_SCALARS = ("stop", "threads", "split_seed", "images")
_KEYS = (*AXES, "probe", "tags", "exclude", *_SCALARS)
_SURROGATE_KEYS = ("dataset", "train_set", "model", "defense", "seed", "instance")


def read_grid(
    path: Path, registry: Registry, *, profile: str = "", images: int | None = None, precision: str = ""
) -> Grid:
    """Read a grid file.

    Args:
        path: the TOML file.
        registry: where names are looked up.
        profile: profile whose definitions override the file's.
        images: thin every evaluation to about this many images.
        precision: craft in this precision, whatever the file says.

    Raises:
        GridError: naming file, key, what was expected and the nearest valid name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise GridError(f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})") from None
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise GridError(f"{path}: not TOML: {error}") from None
    return parse_grid(
        raw, registry, name=path.stem, where=str(path), profile=profile, images=images, precision=precision
    )


def parse_grid(
    raw: Mapping[str, Any],
    registry: Registry,
    *,
    name: str = "grid",
    where: str = "grid",
    profile: str = "",
    images: int | None = None,
    precision: str = "",
) -> Grid:
    """Parse the content of a grid file; arguments and errors as in :func:`read_grid`."""
    _known_keys(raw, ("define", "grid", "profile"), where)
    profiles = _table(raw.get("profile", {}), f"{where}: profile")
    if profile and profile not in profiles:
        raise GridError(f"{where}: no profile is called '{profile}'{did_you_mean(profile, profiles)}")
    for each, content in profiles.items():
        place = f"{where}: profile.{each}"
        _known_keys(_table(content, place), ("define",), place)
        _table(content.get("define", {}), f"{place}.define")
    define = {
        **_table(raw.get("define", {}), f"{where}: define"),
        **(profiles[profile].get("define", {}) if profile else {}),
    }
    blocks = raw.get("grid", [])
    if not isinstance(blocks, list) or not blocks:
        raise GridError(f"{where}: no [[grid]] table; a grid needs at least dataset and model")
    reader = _Reader(define, registry, images, precision)
    return Grid(name, profile, tuple(reader.block(b, f"{where}: grid[{i}]") for i, b in enumerate(blocks)))


def _known_keys(table: Mapping[str, Any], valid: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in valid:
            raise GridError(f"{where}: unknown key '{key}'{did_you_mean(key, valid)}")


def _table(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise GridError(f"{where}: expected a table, got {value!r}")
    return value


class _Reader:
    """Resolves aliases and parses axis values; one per file."""

    def __init__(self, define: Mapping[str, Any], registry: Registry, images: int | None, precision: str) -> None:
        self.define = define
        self.registry = registry
        self.images = images
        self.precision = precision
        self._specs: dict[tuple[str, str], tuple[Choice, ...]] = {}

    def block(self, raw: Any, where: str) -> Block:
        table = _table(raw, where)
        _known_keys(table, _KEYS, where)
        for key in ("dataset", "model"):
            if key not in table:
                raise GridError(f"{where}: '{key}' is missing")
        limits = [n for n in (self._integer(table, "images", None, where), self.images) if n is not None]
        images = min(limits, default=None)
        if self.precision:
            table = {**table, "precision": self.precision}
        axes = {axis: tuple(self.axis(axis, table[axis], f"{where}.{axis}")) for axis in AXES if axis in table}
        defaults: dict[str, Any] = {
            "train_set": "train",
            "defense": "none",
            "attack": "none",
            "goal": "untargeted",
            "precision": "float32",
            "surrogate": {},
            "craft_on": "train",
            "evaluate_on": "test",
            "seed": 0,
        }
        axes |= {a: tuple(self.axis(a, v, f"{where}.{a}")) for a, v in defaults.items() if a not in axes}
        axes |= {a: () for a in ("budget", "detector") if a not in axes}
        if images:
            axes["evaluate_on"] = tuple(_thin(choice, images) for choice in axes["evaluate_on"])
        for axis in AXES:
            if not axes[axis] and axis not in ("budget", "detector"):
                raise GridError(f"{where}.{axis}: the list is empty")
        stop = table.get("stop", "full")
        if stop not in get_args(Stop):
            raise GridError(f"{where}.stop: expected 'full' or 'success', got {stop!r}")
        if stop == "full" and any(c.value == "mixed" for c in axes["precision"]):
            raise GridError(
                f"{where}.precision: 'mixed' attacks again what bfloat16 leaves unbroken, so it needs stop = 'success'"
            )
        tags = _table(table.get("tags", {}), f"{where}.tags")
        return Block(
            where,
            {axis: axes[axis] for axis in AXES},
            tuple(c.value for c in self.axis("probe", table.get("probe", []), f"{where}.probe")),
            {k: str(v) for k, v in tags.items()},
            tuple(self.exclusions(table.get("exclude", []), f"{where}.exclude")),
            stop,
            self._integer(table, "threads", 1, where) or 1,
            self._integer(table, "split_seed", 0, where) or 0,
        )

    @staticmethod
    def _integer(table: Mapping[str, Any], key: str, default: int | None, where: str) -> int | None:
        value = table.get(key, default)
        least = 0 if key == "split_seed" else 1
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
            raise GridError(f"{where}.{key}: expected a whole number of at least {least}, got {value!r}")
        return value

    def axis(self, axis: str, raw: Any, where: str) -> Iterator[Choice]:
        """The choices of one axis, aliases spliced in."""
        for item in raw if isinstance(raw, list) else [raw]:
            for value, alias in self.dealias(item, where):
                try:
                    yield from self.choices(axis, value, alias, where)
                except GridError:
                    raise
                except (MedrobustError, ValueError) as error:
                    shown = f" (@{alias})" if alias else ""
                    raise GridError(f"{where}{shown}: {error}") from None

    def dealias(self, item: Any, where: str, seen: tuple[str, ...] = ()) -> Iterator[tuple[Any, str]]:
        """What an item stands for: itself, or the definition it names (a list is spliced in)."""
        if not (isinstance(item, str) and item.startswith("@")):
            yield self.expand_nested(item, where, seen), ""
            return
        name = item[1:]
        if name in seen:
            raise GridError(f"{where}: definition '@{name}' refers to itself")
        if name not in self.define:
            raise GridError(f"{where}: '@{name}' is not defined{did_you_mean(name, self.define)}")
        definition = self.define[name]
        if isinstance(definition, list):
            for each in definition:
                yield from self.dealias(each, where, (*seen, name))
            return
        for value, _ in self.dealias(definition, where, (*seen, name)):
            # Of a chain of aliases the outermost one is the label.
            yield value, name

    def expand_nested(self, item: Any, where: str, seen: tuple[str, ...]) -> Any:
        """Aliases inside a table; one that names a list becomes a sweep."""
        if isinstance(item, Mapping):
            return {k: self.expand_nested(v, where, seen) for k, v in item.items()}
        if isinstance(item, list):
            return [self.expand_nested(v, where, seen) for v in item]
        if isinstance(item, str) and item.startswith("@"):
            values = [value for value, _ in self.dealias(item, where, seen)]
            return values[0] if len(values) == 1 else values
        return item

    def choices(self, axis: str, value: Any, alias: str, where: str) -> Iterator[Choice]:
        if axis in ("dataset", "model", "defense", "attack", "probe"):
            yield from self.plugins(axis, value, alias)
        elif axis == "train_set":
            yield _choice(Slice.parse(_text(value)), alias)
        elif axis in ("craft_on", "evaluate_on"):
            yield from self.parts(axis, value, alias, where)
        elif axis == "goal":
            yield _choice(GoalSpec.parse(_text(value)), alias)
        elif axis == "budget":
            yield _choice(BudgetSpec.parse(_text(value)), alias)
        elif axis == "precision":
            yield _choice(_precision(_text(value)), alias)
        elif axis == "surrogate":
            yield from self.surrogates(value, alias, where)
        elif axis == "detector":
            yield from self.detectors(value, alias)
        elif axis == "seed":
            if not isinstance(value, int) or isinstance(value, bool):
                raise ValueError(f"expected a whole number, got {value!r}")
            yield _choice(value, alias)

    def plugins(self, kind: str, value: Any, alias: str) -> Iterator[Choice]:
        table = {"name": value} if isinstance(value, str) else dict(value) if isinstance(value, Mapping) else {}
        name = table.pop("name", None)
        if not isinstance(name, str):
            raise ValueError(f"expected the name of {article(kind)} or a table with `name`, got {value!r}")
        offer = self.registry.find(kind, name)
        variants = list(sweeps(offer, table, self.registry))
        if not variants:
            raise ValueError(f"{', '.join(k for k, v in table.items() if v == []) or name}: the list is empty")
        swept = [k for k in table if len({repr(v.get(k)) for v in variants}) > 1]
        for variant in variants:
            label = alias
            if alias and swept:
                label = f"{alias}[{', '.join(f'{k}={_show(variant[k])}' for k in swept)}]"
            spec = build(offer, variant, self.registry, label)
            yield Choice(spec, spec.label)

    def parts(self, axis: str, value: Any, alias: str, where: str) -> Iterator[Choice]:
        default = "test" if axis == "evaluate_on" else "train"
        if isinstance(value, str):
            yield _choice(PartSpec(Slice.parse(value)), alias)
            return
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a slice or a data set, got {value!r}")
        table = dict(value)
        if "dataset" in table:
            _known_keys(table, ("dataset", "slice"), where)
            dataset, text = table["dataset"], table.get("slice", default)
        else:
            text = table.pop("slice", default)
            dataset = table
        for choice in self.plugins("dataset", dataset, ""):
            yield _choice(PartSpec(Slice.parse(_text(text)), choice.value), alias)

    def surrogates(self, value: Any, alias: str, where: str) -> Iterator[Choice]:
        table = _table(value, where)
        _known_keys(table, _SURROGATE_KEYS, where)
        instance = table.get("instance")
        if (
            instance is not None
            and instance != "other"
            and (not isinstance(instance, int) or isinstance(instance, bool))
        ):
            raise ValueError(f"instance: expected a number or 'other', got {instance!r}")
        keys = [k for k in table if k != "instance"]
        choices = [list(self.axis(k, table[k], f"{where}.{k}")) for k in keys]
        for combination in itertools.product(*choices):
            parts = [f"{k}={c.label}" for k, c in zip(keys, combination, strict=True)]
            parts += [f"instance={instance}"] if instance is not None else []
            patch = tuple((k, c.value) for k, c in zip(keys, combination, strict=True))
            yield Choice(SurrogatePatch(patch, instance), alias or ", ".join(parts) or "target")

    def detectors(self, value: Any, alias: str) -> Iterator[Choice]:
        table = {"name": value} if isinstance(value, str) else dict(_table(value, "detector"))
        sources = table.pop("source", "same")
        fit_on = Slice.parse(_text(table.pop("fit_on", "train")))
        for choice in self.plugins("detector", table, alias):
            for source in sources if isinstance(sources, list) else [sources]:
                attacks = [None] if source == "same" else [c.value for c in self.plugins("attack", source, "")]
                for attack in attacks:
                    label = f"{choice.label}<{attack.label if attack else 'same'}"
                    yield Choice(DetectorSpec(choice.value, attack, fit_on), label)

    def exclusions(self, raw: Any, where: str) -> Iterator[Mapping[str, tuple[str, ...]]]:
        for pattern in raw if isinstance(raw, list) else [raw]:
            table = _table(pattern, where)
            _known_keys(table, AXES, where)
            yield {
                k: tuple(str(x).removeprefix("@") for x in (v if isinstance(v, list) else [v]))
                for k, v in table.items()
            }


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"expected text, got {value!r}")
    return value


def _precision(text: str) -> Precision:
    valid = get_args(Precision)
    if text not in valid:
        raise ValueError(f"no precision is called '{text}'{did_you_mean(text, valid)}")
    return text  # type: ignore[return-value]


def _choice(value: Any, alias: str) -> Choice:
    return Choice(value, alias or str(value))


def _thin(choice: Choice, images: int) -> Choice:
    part: PartSpec = choice.value
    return Choice(PartSpec(part.slice.thinned(images), part.dataset), choice.label)


def _show(value: Any) -> str:
    return str(value.get("name", value)) if isinstance(value, Mapping) else str(value)
