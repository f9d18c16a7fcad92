"""The hooks, readable as the contract between medrobust and its plugins.

A plugin distribution names a module in its entry points:

    [project.entry-points.medrobust]
    mine = "my_package.my_module"

and that module implements any of these with `medrobust.hookimpl`. The plugins bundled with medrobust use the same
entry-point group. Each hook returns an iterable of plugin classes, or of `Preset` for further names of one class.

Commands have an entry-point group of their own, `medrobust.commands`: see `medrobust.commands`.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from ..contracts import AnyAttack, Dataset, Defense, Detector, Model, Preset, Probe, Provider

GROUP = "medrobust"
KINDS = ("dataset", "model", "attack", "defense", "detector", "probe")
"""Kinds of plugins, in the order in which they are listed."""
hookspec = pluggy.HookspecMarker(GROUP)
hookimpl = pluggy.HookimplMarker(GROUP)


@hookspec
def medrobust_datasets() -> Iterable[type[Dataset] | Preset]:  # type: ignore[empty-body]
    """Data sets."""


@hookspec
def medrobust_models() -> Iterable[type[Model] | Preset]:  # type: ignore[empty-body]
    """Models."""


@hookspec
def medrobust_attacks() -> Iterable[type[AnyAttack] | Preset]:  # type: ignore[empty-body]
    """Attacks: on each image, derived, universal, and ensembles."""


@hookspec
def medrobust_defenses() -> Iterable[type[Defense] | type[Detector] | Preset]:  # type: ignore[empty-body]
    """Defenses and detectors."""


@hookspec
def medrobust_probes() -> Iterable[type[Probe] | Preset]:  # type: ignore[empty-body]
    """Probes."""


@hookspec
def medrobust_providers() -> Iterable[type[Provider]]:  # type: ignore[empty-body]
    """Providers: libraries whose members are plugins by name, such as `foolbox:LinfPGD`."""


@hookspec
def medrobust_papers() -> Iterable[Path]:  # type: ignore[empty-body]
    """Folders of papers, each with grid.toml, tables.toml, figures.toml and reference/*.csv."""
