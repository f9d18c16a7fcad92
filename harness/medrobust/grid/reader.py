"""Reading grids: TOML with definitions and profiles, every error naming file, key and remedy."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, get_args

from ..contracts import AXES
from ..errors import GridError, cut, did_you_mean, shown
from ..plugins.registry import Registry
from .blocks import Block, Choice, Grid, PartSpec, Stop
from .choices import LONGEST, Choices
from .definitions import Definitions
from .values import known_keys, list_of, table_of, whole_number

_LEAST: Final = {"threads": 1, "split_seed": 0, "images": 1}
"""Whole numbers that hold for a block, with the smallest that is permitted."""
_KEYS: Final = (*AXES, "probe", "tags", "exclude", "stop", *_LEAST)
_DEFAULTS: Final[dict[str, Any]] = {
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
_EXPECT: Final = "expect"
"""What tests expect of the cells; it changes none of them (`medrobust.pytest`)."""
MOST: Final = 1_000_000
"""Combinations of one table."""
_MAY_BE_EMPTY: Final = ("budget", "detector")


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
    except (ValueError, RecursionError) as error:
        raise GridError(f"{path}: not TOML: {error}") from None
    return parse_grid(
        raw, registry, name=path.stem, where=str(path), profile=profile, images=images, precision=precision
    )


@contextmanager
def _in_short() -> Iterator[None]:
    """Cut a message that repeats names of a grid, which may be any text."""
    try:
        yield
    except GridError as error:
        if len(text := str(error)) <= LONGEST:
            raise
        raise GridError(cut(text, LONGEST)) from None


@_in_short()
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
    """Parse the content of a grid file; arguments and errors as in `read_grid`."""
    known_keys(raw, ("define", "grid", "profile", _EXPECT), where)
    profiles = table_of(raw.get("profile", {}), f"{where}: profile")
    if profile and profile not in profiles:
        raise GridError(f"{where}: no profile is called '{profile}'{did_you_mean(profile, profiles)}")
    for each, content in profiles.items():
        place = f"{where}: profile.{each}"
        known_keys(table_of(content, place), ("define",), place)
        table_of(content.get("define", {}), f"{place}.define")
    define = {
        **table_of(raw.get("define", {}), f"{where}: define"),
        **(profiles[profile].get("define", {}) if profile else {}),
    }
    blocks = raw.get("grid", [])
    if not isinstance(blocks, list) or not blocks:
        raise GridError(f"{where}: no [[grid]] table; a grid needs at least dataset and model")
    reader = _BlockReader(Choices(Definitions(define), registry), images, precision)
    return Grid(name, profile, tuple(reader.block(b, f"{where}: grid[{i}]") for i, b in enumerate(blocks)))


class _BlockReader:
    """Reads `[[grid]]` tables.

    Args:
        choices: reads their axes.
        images: thin every evaluation to about this many images.
        precision: craft in this precision, whatever the tables say.
    """

    def __init__(self, choices: Choices, images: int | None, precision: str) -> None:
        self.choices = choices
        self.images = images
        self.precision = precision

    def block(self, raw: Any, where: str) -> Block:
        table = table_of(raw, where)
        known_keys(table, _KEYS, where)
        for key in ("dataset", "model"):
            if key not in table:
                raise GridError(f"{where}: '{key}' is missing")
        numbers = {key: _whole_number(table, key, where) for key in _LEAST}
        if self.precision:
            table = {**table, "precision": self.precision}
        axes = {axis: self._axis(axis, table, where) for axis in AXES}
        if (number := math.prod(len(choices) or 1 for choices in axes.values())) > MOST:
            raise GridError(f"{where}: stands for {number:.3g} combinations; at most {MOST} fit into one table")
        images = min((n for n in (numbers["images"], self.images) if n is not None), default=None)
        if images:
            axes["evaluate_on"] = tuple(_thin(choice, images) for choice in axes["evaluate_on"])
        tags = table_of(table.get("tags", {}), f"{where}.tags")
        return Block(
            where,
            axes,
            tuple(c.value for c in self.choices.axis("probe", table.get("probe", []), f"{where}.probe")),
            {k: str(v) for k, v in tags.items()},
            tuple(_exclusions(table.get("exclude", []), f"{where}.exclude")),
            _stop(self.choices.single(table.get("stop", "full"), f"{where}.stop"), axes["precision"], where),
            numbers["threads"] or 1,
            numbers["split_seed"] or 0,
        )

    def _axis(self, axis: str, table: Mapping[str, Any], where: str) -> tuple[Choice, ...]:
        raw = table.get(axis, _DEFAULTS.get(axis, []))
        choices = tuple(self.choices.axis(axis, raw, f"{where}.{axis}"))
        if not choices and axis not in _MAY_BE_EMPTY:
            raise GridError(f"{where}.{axis}: the list is empty")
        return choices


def _whole_number(table: Mapping[str, Any], key: str, where: str) -> int | None:
    if key not in table:
        return None
    try:
        return whole_number(table[key], _LEAST[key])
    except ValueError as error:
        raise GridError(f"{where}.{key}: {error}") from None


def _stop(stop: Any, precisions: tuple[Choice, ...], where: str) -> Stop:
    if stop not in get_args(Stop):
        raise GridError(f"{where}.stop: expected 'full' or 'success', got {shown(stop)}")
    if stop == "full" and any(c.value == "mixed" for c in precisions):
        raise GridError(
            f"{where}.precision: 'mixed' attacks again what bfloat16 leaves unbroken, so it needs stop = 'success'"
        )
    chosen: Stop = stop
    return chosen


def _exclusions(raw: Any, where: str) -> Iterator[Mapping[str, tuple[str, ...]]]:
    for pattern in list_of(raw):
        table = table_of(pattern, where)
        known_keys(table, AXES, where)
        yield {k: tuple(str(x).removeprefix("@") for x in list_of(v)) for k, v in table.items()}


def _thin(choice: Choice, images: int) -> Choice:
    part: PartSpec = choice.value
    return Choice(PartSpec(part.slice.thinned(images), part.dataset), choice.label)
