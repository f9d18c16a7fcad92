"""Images that a plan passes through each architecture, and how fast an architecture was on a device."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Final

import torch
from pydantic import Field, TypeAdapter, ValidationError

from ..contracts import DataSource, Model, Passes
from ..errors import StoreError
from ..grid.identity import digest
from ..grid.targets import Target
from ..plugins.specs import plain
from .models.weights import input_shape
from .sizes import Sizes
from .steps import Step

FILE = "throughput.json"
"""Name of the measurements in the user's cache."""
OF_TRAINING = ("optimizer", "batch_size", "precision", "augment")
"""Fields of a recipe that decide how fast a step of training is."""


@dataclass(frozen=True)
class Architecture:
    """A model as far as its speed depends on it.

    Attributes:
        label: what a grid calls it.
        model: the plugin.
        shape: (channels, height, width) of its images.
        outputs: number of logits.
        threads: threads of a process, on a CPU.
    """

    label: str
    model: Model
    shape: tuple[int, int, int]
    outputs: int
    threads: int

    @classmethod
    def of(cls, target: Target) -> Architecture:
        """The architecture of a target."""
        shape = input_shape(target)
        assert isinstance(target.model.plugin, Model)
        size = (shape.channels, shape.height, shape.width)
        return cls(target.model.label, target.model.plugin, size, shape.outputs, target.threads)

    @property
    def key(self) -> str:
        """Equal for models of equal speed, whatever their weights, classes and epochs."""
        fields = plain(self.model)
        recipe = fields.pop("recipe", {})
        fields = {k: v for k, v in fields.items() if k not in ("init", "instance")}
        return digest(fields, {k: recipe.get(k) for k in OF_TRAINING}, self.shape, self.threads)

    def describe(self) -> str:
        """For tables."""
        channels, height, width = self.shape
        return f"{self.label}, {height}x{width}x{channels}"


Speed = Annotated[float, Field(gt=0, allow_inf_nan=False)]


@dataclass(frozen=True)
class Throughput:
    """Images per second."""

    forward: Speed
    gradient: Speed
    training: Speed

    def seconds(self, passes: Passes) -> float:
        """How long passes take."""
        return passes.forward / self.forward + passes.gradient / self.gradient + passes.training / self.training


@dataclass(frozen=True)
class _Entry:
    """A measurement as the file has it."""

    device: str
    architecture: str
    key: str
    torch: str
    throughput: Throughput
    measured: str


_ENTRIES: Final = TypeAdapter(list[_Entry])


class Throughputs:
    """What has been measured, by device; a JSON file that can be taken to another machine.

    Args:
        file: where it is.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def find(self, architecture: Architecture, device: str) -> Throughput | None:
        """The latest measurement on a device, by its name in words."""
        found = [e for e in self._entries() if e["key"] == architecture.key and e["device"] == device]
        return Throughput(**found[-1]["throughput"]) if found else None

    def devices(self) -> list[str]:
        """Devices on which something was measured, the latest last."""
        return list(dict.fromkeys(e["device"] for e in self._entries()))

    def add(self, architecture: Architecture, device: str, measured: Throughput) -> None:
        """Keep a measurement in place of an earlier one of the same.

        Raises:
            StoreError: if the file cannot be written.
        """
        others = [e for e in self._entries() if (e["key"], e["device"]) != (architecture.key, device)]
        entry = {
            "device": device,
            "architecture": architecture.describe(),
            "key": architecture.key,
            "torch": str(torch.__version__),
            "throughput": asdict(measured),
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            beside = self.file.with_suffix(".part")
            beside.write_text(json.dumps([*others, entry], indent=1), encoding="utf-8")
            beside.replace(self.file)
        except OSError as error:
            raise StoreError(f"{self.file} cannot be written ({error.strerror}); set MEDROBUST_CACHE") from None

    def _entries(self) -> list[dict[str, Any]]:
        try:
            return [asdict(each) for each in _ENTRIES.validate_json(self.file.read_bytes())]
        except FileNotFoundError:
            return []
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            why = f"{'.'.join(map(str, first['loc'])) or 'JSON'}: {first['msg']}"
            raise StoreError(f"{self.file} cannot be read ({why[:200]}); delete it and calibrate again") from None
        except OSError as error:
            raise StoreError(f"{self.file} cannot be read ({error}); delete it and calibrate again") from None


Demand = tuple[Architecture, Passes]
"""What is asked of one architecture."""


def demands_of(steps: Sequence[Step], source: DataSource) -> tuple[list[Demand], int]:
    """What steps ask of each architecture, the most first, and of how many steps it is not known."""
    sizes = Sizes(source)
    found: dict[str, Demand] = {}
    unknown = 0
    for step in steps:
        work = step.work(sizes)
        unknown += work is None
        for each in work or ():
            architecture = Architecture.of(each.target)
            known, before = found.get(architecture.key, (architecture, Passes()))
            # Of several labels the shortest: that of the grid, where a surrogate has the model's full name.
            named = min(known, architecture, key=lambda a: len(a.label))
            found[architecture.key] = (named, before + each.passes)
    return sorted(found.values(), key=lambda d: -sum((d[1].forward, d[1].gradient, d[1].training))), unknown


def seconds_of(demands: Iterable[Demand], throughputs: Throughputs, device: str) -> tuple[float, list[Architecture]]:
    """Seconds that passes take on a device, and the architectures that were not measured there."""
    total, missing = 0.0, []
    for architecture, passes in demands:
        measured = throughputs.find(architecture, device)
        if measured is None:
            missing.append(architecture)
        else:
            total += measured.seconds(passes)
    return total, missing
