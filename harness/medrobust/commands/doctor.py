"""`medrobust doctor`: what this installation is, and what is wrong with it."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from .options import DataRootOption, JsonOption, PluginOption
from .printing import console, counted

if TYPE_CHECKING:
    from ..contracts import DataSource
    from ..plugins.registry import Registry

MAIN = (
    *("python", "medrobust", "torch", "torchvision", "numpy", "pandas", "pyarrow", "foolbox"),
    "adversarial-robustness-toolbox",
)
"""Versions that are always told, installed or not."""


def doctor(plugin: PluginOption = None, data_root: DataRootOption = None, as_json: JsonOption = False) -> None:
    """Explain the environment: versions, processor and devices, data that are here, plugins that cannot be loaded."""
    from ..contracts import DataSource
    from ..engine.context import checked_data_root, default_data_root
    from ..plugins.registry import Registry

    registry = Registry.discover(plugin or ())
    problems = [str(fault) for fault in registry.faults]
    try:
        root = checked_data_root(data_root, "--data-root") or default_data_root()
    except MedrobustError as error:
        problems.append(str(error))
        root = None
    facts = {
        "versions": _versions(),
        "extras": _extras(registry),
        "machine": dict(_machine()),
        "places": dict(_places(root)),
        "data": _data(registry, DataSource(root)),
        "plugins": _plugins(registry),
        "problems": problems,
    }
    if as_json:
        typer.echo(json.dumps(facts, indent=1))
    else:
        _print(facts)
    if problems:
        raise typer.Exit(1)


def _versions() -> dict[str, str]:
    from ..engine.context import versions

    found = versions()
    return {name: found.get(name, "not installed") for name in MAIN}


def _extras(registry: Registry) -> dict[str, str]:
    """Libraries whose members are plugins, by prefix: the version, or how to install it."""
    return {each.prefix: each.version or f"not installed: {each.install}" for each in registry.libraries()}


def _machine() -> Iterator[tuple[str, str]]:
    import platform

    import psutil
    import torch

    from ..engine.context import cores, default_device, hardware

    yield "system", platform.platform()
    yield "processor", hardware("cpu")
    yield "bfloat16", "in hardware" if _has_bfloat16() else "emulated, and slow"
    yield "cores", str(cores())
    yield "memory", f"{psutil.virtual_memory().total / 2**30:.0f} GiB"
    yield "torch build", f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    device = default_device()
    yield "device", hardware(device) if device != "cpu" else "cpu (no CUDA device)"
    for name in ("OMP_NUM_THREADS", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "PYTHONDONTWRITEBYTECODE"):
        if value := os.environ.get(name):
            yield name, value


def _has_bfloat16() -> bool:
    import torch

    supported = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(supported and supported())


def _places(root: Path | None) -> Iterator[tuple[str, str]]:
    from ..engine.context import default_cache

    yield "data root", str(root) if root else "none: give --data-root or set MEDROBUST_DATA"
    cache = default_cache()
    size = sum(file.stat().st_size for file in cache.rglob("*") if file.is_file()) if cache.is_dir() else 0
    yield "cache", f"{cache} ({size / 2**20:.0f} MB)"


def _data(registry: Registry, source: DataSource) -> dict[str, str]:
    """Data sets by name: here, drawn, or what is missing; those that need a parameter are left out."""
    from ..contracts import Dataset
    from ..errors import DataError, DataUnavailable, PluginError
    from ..plugins.specs import build

    found = {}
    for offer in registry.offers("dataset"):
        try:
            dataset = build(offer, {}, registry).plugin
        except PluginError:
            continue
        assert isinstance(dataset, Dataset)
        try:
            info = dataset.describe(source)
        except (DataError, DataUnavailable) as missing:
            found[offer.usual] = f"missing: {missing}"
        except Exception as error:  # noqa: BLE001 - a stranger's code may raise anything
            found[offer.usual] = f"broken: {type(error).__name__}: {error}"
        else:
            found[offer.usual] = f"here ({len(info.classes)} classes)" if info.classes else "here"
    return found


def _plugins(registry: Registry) -> dict[str, str]:
    """How many of each kind a distribution offers."""
    found: dict[str, dict[str, int]] = {}
    for offer in registry.offers():
        kinds = found.setdefault(f"{offer.distribution} {offer.version}", {})
        kinds[offer.kind] = kinds.get(offer.kind, 0) + 1
    return {who: ", ".join(counted(count, kind) for kind, count in kinds.items()) for who, kinds in found.items()}


def _print(facts: Mapping[str, Collection[str]]) -> None:
    for heading, content in facts.items():
        if heading == "problems" or not isinstance(content, dict):
            continue
        console.print(Text(heading, style="bold"))
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True)
        table.add_column(ratio=1, overflow="fold")
        for name, value in content.items():
            absent = value.startswith(("broken", "not installed"))
            table.add_row(Text(f"  {name}"), Text(value, style="yellow" if absent else ""))
        console.print(table, highlight=False)
    problems = facts["problems"]
    console.print(Text("problems", style="bold"))
    for problem in problems or ["none"]:
        console.print(Text(f"  {problem}", style="red" if problems else "green"), soft_wrap=True)
