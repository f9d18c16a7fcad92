"""`medrobust env`: the versions under which the records of a store were made, as a requirements file."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

import typer

from ..errors import MedrobustError
from .printing import counted
from .store import StoreArgument, opened_store

if TYPE_CHECKING:
    import pandas as pd

_PLUGIN = re.compile(r'"plugin": "([^":]+):')


@dataclass
class Environment:
    """Versions under which some records were made.

    Attributes:
        versions: by distribution; `python` is Python itself.
        devices: how many cells each device computed.
        local: names of plugins that come from no distribution: local files, and what a program handed in.
    """

    versions: Mapping[str, str]
    devices: Counter[str] = field(default_factory=Counter)
    local: set[str] = field(default_factory=set)

    @property
    def cells(self) -> int:
        """How many cells were made under it."""
        return self.devices.total()

    @property
    def pins(self) -> dict[str, str]:
        """What pip can install: versions without the build, which package indexes do not know."""
        return {name: version.partition("+")[0] for name, version in self.versions.items() if name != "python"}


def env(
    store: StoreArgument,
    number: Annotated[
        int, typer.Option("--number", metavar="N", min=1, help="Which environment, if there are several.")
    ] = 1,
) -> None:
    """Print the requirements under which a store's records were made, as the text of a requirements.txt."""
    opened = opened_store(store)
    found = environments(opened.cells(["identity", "versions", "hardware"]))
    if not found:
        raise MedrobustError(f"{store} has no cells yet; 'medrobust run GRID --store {store}' computes some")
    if number > len(found):
        raise MedrobustError(f"--number {number}: {store} has {counted(len(found), 'environment')}")
    typer.echo("\n".join(requirements(found, number - 1, str(store))))


def environments(cells: pd.DataFrame) -> list[Environment]:
    """The environments behind rows of the table `cells`, the one with most cells first."""
    found: dict[str, Environment] = {}
    for row in cells.to_dict("records"):
        text = row["versions"] or "{}"
        if text not in found:
            found[text] = Environment(json.loads(text))
        each = found[text]
        each.devices[row["hardware"] or "unknown hardware"] += 1
        each.local |= set(_PLUGIN.findall(row["identity"] or "")) - each.versions.keys()
    return sorted(found.values(), key=lambda e: -e.cells)


def requirements(found: Sequence[Environment], chosen: int, store: str) -> Iterator[str]:
    """The lines of a requirements file; what pip does not understand stands in comments."""
    mine = found[chosen]
    total = sum(each.cells for each in found)
    yield f"# {mine.cells} of {counted(total, 'cell')} of {store} were made with these versions."
    yield f"# Python {mine.versions.get('python', 'unknown')}"
    for device, count in mine.devices.most_common():
        yield f"# {device} ({counted(count, 'cell')})"
    version, _, build = mine.versions.get("torch", "").partition("+")
    if build:
        yield f"# torch {version} as built for {build} (previous versions on pytorch.org have the command)"
    if mine.local:
        yield f"# Plugins of no distribution (local files, or handed in by a program): {', '.join(sorted(mine.local))}"
    yield from (f"{name}=={pinned}" for name, pinned in mine.pins.items())
    for number, other in enumerate(found):
        if number != chosen:
            differing = _difference(mine, other)
            yield f"# {counted(other.cells, 'cell')} of another environment (--number {number + 1}): {differing}"


def _difference(mine: Environment, other: Environment) -> str:
    names = dict.fromkeys((*mine.versions, *other.versions))
    pairs = ((name, mine.versions.get(name), other.versions.get(name)) for name in names)
    return ", ".join(
        f"{name} {theirs or 'absent'} instead of {ours or 'none'}" for name, ours, theirs in pairs if ours != theirs
    )
