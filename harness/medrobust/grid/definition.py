"""A cell as a grid writes it, and the cell that such a definition stands for: by it a record can be run again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from ..contracts import BudgetSpec, Precision
from ..errors import GridError, PluginError
from ..plugins.in_memory import ORIGIN
from ..plugins.registry import Registry
from ..plugins.specs import Spec, build
from .blocks import DetectorSpec, GoalSpec, PartSpec, Stop
from .builder import Builder
from .cells import Cell
from .gate import AttackGate
from .metadata import MetadataCache
from .parts import Part
from .settings import Setting
from .slices import Slice
from .targets import Target

Definition = dict[str, Any]


def definition_of(cell: Cell) -> Definition:
    """What a `[[grid]]` table holds that asks for one cell, with the table of each plugin in full, as JSON values.

    A surrogate is written in full beside its target; `checkpoints` has the content of the files that weights come from.
    """
    target, setting = cell.target, cell.setting
    written: Definition = {
        **_trained(target),
        "threads": target.threads,
        "split_seed": target.train.split_seed,
        "evaluate_on": _part(cell.part, target),
    }
    if cell.attack is not None and setting is not None:
        written |= {
            "attack": json.loads(cell.attack.written),
            "goal": str(setting.goal),
            "budget": str(setting.budget),
            "precision": setting.precision,
            "stop": setting.stop,
        }
        if setting.craft_on is not None:
            written["craft_on"] = _part(setting.craft_on, target)
        if cell.surrogate is not None:
            written["surrogate"] = _trained(cell.surrogate)
        if cell.detector is not None:
            written["detector"] = _detector(cell.detector)
    models = (target, *([cell.surrogate] if cell.surrogate else []))
    checkpoints = {
        str(getattr(m.model.plugin, "init", "")): m.model_fields["checkpoint"]
        for m in models
        if "checkpoint" in m.model_fields
    }
    return {**written, "checkpoints": checkpoints} if checkpoints else written


def _trained(target: Target) -> Definition:
    return {
        "dataset": json.loads(target.train.dataset.written),
        "train_set": str(target.train.slice),
        "model": json.loads(target.model.written),
        "defense": json.loads(target.defense.written),
        "seed": target.seed,
    }


def _detector(spec: DetectorSpec) -> Definition:
    source = json.loads(spec.source.written) if spec.source else "same"
    return {**json.loads(spec.detector.written), "source": source, "fit_on": str(spec.fit_on)}


def _part(part: Part, target: Target) -> str | Definition:
    if part.dataset.canonical == target.train.dataset.canonical:
        return str(part.slice)
    return {"dataset": json.loads(part.dataset.written), "slice": str(part.slice)}


def cell_of(definition: Mapping[str, Any], metadata: MetadataCache) -> Cell:
    """The cell that a definition stands for, with the plugins and files of this machine.

    Args:
        definition: what `definition_of` gave.
        metadata: where plugins and data sets are found. A checkpoint that is not on this machine counts as recorded.

    Raises:
        GridError: if it is no definition.
        PluginError: if a plugin is not here, or has other parameters.
        DataUnavailable: if a data set is not here.
    """
    try:
        return _cell(definition, metadata.believing(dict(definition.get("checkpoints", {}))))
    except KeyError as error:
        raise GridError(f"the definition of a cell lacks {error}") from None
    except (AttributeError, TypeError, ValueError, ArithmeticError, RecursionError) as error:
        raise GridError(f"the definition of a cell cannot be read: {error}") from None


def _cell(definition: Mapping[str, Any], metadata: MetadataCache) -> Cell:
    registry = metadata.registry
    builder = Builder(metadata, int(definition["split_seed"]), int(definition["threads"]))
    target = _target(definition, builder, registry)
    own = target.train.dataset
    part = builder.part(_part_spec(definition["evaluate_on"], registry), own)
    if "attack" not in definition:
        return Cell(target, part)
    attack = AttackGate(_spec("attack", definition["attack"], registry))
    setting = Setting(
        goal=GoalSpec.parse(definition["goal"]),
        budget=BudgetSpec.parse(definition["budget"]),
        part=part,
        train=target.train,
        seed=target.seed,
        precision=_one_of(Precision, definition["precision"]),
        stop=_one_of(Stop, definition["stop"]),
        craft_on=builder.part(_part_spec(definition["craft_on"], registry), own) if attack.universal else None,
        batch=attack.batch,
    )
    source = _target(definition["surrogate"], builder, registry) if "surrogate" in definition else target
    detector = _detector_spec(definition["detector"], registry) if "detector" in definition else None
    return Cell(target, part, attack.spec, source, setting, detector)


def _detector_spec(written: Mapping[str, Any], registry: Registry) -> DetectorSpec:
    table = {key: value for key, value in written.items() if key not in ("source", "fit_on")}
    source = None if written["source"] == "same" else _spec("attack", written["source"], registry)
    return DetectorSpec(_spec("detector", table, registry), source, Slice.parse(written["fit_on"]))


def _target(definition: Mapping[str, Any], builder: Builder, registry: Registry) -> Target:
    return builder.target(
        _spec("dataset", definition["dataset"], registry),
        Slice.parse(definition["train_set"]),
        _spec("model", definition["model"], registry),
        _spec("defense", definition["defense"], registry),
        int(definition["seed"]),
    )


def _spec(kind: str, table: Mapping[str, Any], registry: Registry) -> Spec:
    name, fields = table["name"], {key: value for key, value in table.items() if key != "name"}
    try:
        offer = registry.find(kind, name)
    except PluginError:
        if name.partition(":")[0] != ORIGIN.distribution:
            raise
        raise PluginError(
            f"{kind} '{name}' was handed in by a program, which has to hand it in again: Session.add_model or "
            "Session.add_dataset, then medrobust.api.verify_cells with that session"
        ) from None
    return build(offer, fields, registry)


def _part_spec(written: str | Mapping[str, Any], registry: Registry) -> PartSpec:
    if isinstance(written, str):
        return PartSpec(Slice.parse(written))
    return PartSpec(Slice.parse(written["slice"]), _spec("dataset", written["dataset"], registry))


def _one_of(valid: Any, text: str) -> Any:
    if text not in get_args(valid):
        raise ValueError(f"'{text}' is none of {', '.join(get_args(valid))}")
    return text
