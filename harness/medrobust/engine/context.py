"""What a step needs of the machine it runs on."""

from __future__ import annotations

import os
import platform
import re
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, requires
from pathlib import Path

import platformdirs
import psutil
import torch

from ..contracts import DataSource
from ..errors import MedrobustError
from ..plugins.hookspecs import GROUP
from ..plugins.libraries import library_version
from .acceleration import Acceleration


def default_cache() -> Path:
    """Where decoded images are kept: MEDROBUST_CACHE, else the user's cache folder."""
    if place := os.environ.get("MEDROBUST_CACHE"):
        return Path(place).expanduser()
    return platformdirs.user_cache_path("medrobust")


def default_data_root() -> Path | None:
    """MEDROBUST_DATA, if set.

    Raises:
        MedrobustError: if it names no directory.
    """
    return checked_data_root(os.environ.get("MEDROBUST_DATA") or None, "MEDROBUST_DATA")


def checked_data_root(place: str | Path | None, what: str) -> Path | None:
    """The data root as an absolute path, or None.

    Raises:
        MedrobustError: if it is not a directory.
    """
    if place is None:
        return None
    root = Path(place).expanduser().absolute()
    if not root.is_dir():
        raise MedrobustError(f"{what}: {root} is not a directory")
    return root


def default_device() -> str:
    """CUDA if there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def checked_device(name: str) -> str:
    """The name of a device that is there.

    Raises:
        MedrobustError: if it is not.
    """
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as error:
        there = "cpu, cuda" if torch.cuda.is_available() else "cpu"
        raise MedrobustError(f"--device: '{name}': {str(error).splitlines()[0]}; there is {there}") from None
    return name


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True)
class RunContext:
    """Places and hardware, the same for every step of a run; picklable.

    Attributes:
        store: directory of the store, or its URL.
        data_root: root of file-based data sets.
        cache: directory of decoded images.
        device: torch device of models and images.
        plugin_files: local plugin files, to be loaded again in worker processes.
        acceleration: what of the fast path crafting uses; no identity depends on it.
        confined: whether data and checkpoints are looked for below the data root alone.
    """

    store: Path
    data_root: Path | None = None
    cache: Path = field(default_factory=default_cache)
    device: str = "cpu"
    plugin_files: tuple[Path, ...] = ()
    acceleration: Acceleration = Acceleration()  # noqa: RUF009 - frozen
    confined: bool = False

    @property
    def source(self) -> DataSource:
        return DataSource(self.data_root, confined=self.confined)


@cache
def versions() -> dict[str, str]:
    """Versions that a record names: Python, the distributions with plugins, and what these require and is installed.

    That of torch has its build (`2.8.0+cu126`), which decides what it computes as much as the number does.
    """
    owners = {"medrobust", *(point.dist.name for point in entry_points(group=GROUP) if point.dist)}
    names = owners | {required for owner in owners for required in _requirements(owner)}
    found = {name: known for name in sorted(names, key=str.lower) if (known := library_version(name))}
    return {"python": platform.python_version(), **found, "torch": str(torch.__version__)}


def _requirements(distribution: str) -> list[str]:
    """Names of what a distribution requires, extras included."""
    try:
        lines = requires(distribution) or []
    except PackageNotFoundError:
        return []
    return [match[0] for line in lines if (match := re.match(r"[\w.-]+", line))]


@cache
def hardware(device: str) -> str:
    """The device in words."""
    if device.startswith("cuda"):
        return torch.cuda.get_device_name(device)
    return f"{_processor()}, {torch.backends.cpu.get_cpu_capability()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def peak_memory(device: str) -> int:
    """Largest memory use so far in bytes: of the device for CUDA, else of this process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    memory = psutil.Process().memory_info()
    if (peak := getattr(memory, "peak_wset", None)) is not None:  # Windows
        return int(peak)
    return _peak_rss() or int(memory.rss)


def _peak_rss() -> int:
    """Largest resident set of this process in bytes where the system keeps it, else 0."""
    try:
        import resource
    except ImportError:
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
