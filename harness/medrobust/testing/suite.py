"""Everything that a plugin, or a distribution, keeps of the rules of its kind: as outcomes, and as tests."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from ..contracts import AnyAttack, Attack, BudgetSpec, Dataset, Defense, Detector, Model, Plugin, Probe, UniversalAttack
from ..errors import PluginError
from ..plugins.hints import alternatives, hints_of
from ..plugins.registered import RegisteredPlugin
from ..plugins.registry import Registry
from . import attack_rules, dataset_rules, defense_rules, detector_rules, general_rules, model_rules, probe_rules
from .attack_cases import AttackCase, MeanSign, SignStep
from .dataset_rules import DatasetCase
from .defense_rules import DefenseCase
from .detector_rules import DetectorCase
from .model_rules import ModelCase
from .probe_rules import ProbeCase
from .rules import Outcome, Rule, apply

STAND_INS: Final[dict[type, Any]] = {
    AnyAttack: SignStep(),
    Attack: SignStep(),
    UniversalAttack: MeanSign(),
    BudgetSpec: BudgetSpec.parse("linf:8/255"),
}
"""What a plugin is given where it needs one of these."""
Test = Callable[[Any, Any], None]


def check(plugin: Plugin, *, slack: float = 0.0) -> list[Outcome]:
    """What became of every rule of its kind, for a plugin with these parameters.

    Args:
        plugin: the plugin.
        slack: by how much an attack may leave its budget, in linf per pixel, as a grid allows one that rounds.
    """
    return [apply(rule, case) for rule, case in _cases(plugin, slack)]


def conformance(
    distribution: str = "",
    *,
    file: Path | str | None = None,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    slack: Mapping[str, float] | None = None,
) -> Test:
    """A test for pytest with a case for every rule and every plugin that a distribution, or a local file, offers.

    Args:
        distribution: its name, as pip shows it.
        file: a local plugin file instead.
        parameters: for plugins by name, values of fields that have no default, or that make them quicker.
        slack: for attacks by name, by how much they may leave their budget, in linf per pixel (those that round).

    Raises:
        PluginError: if nothing is offered, or something that is offered cannot be loaded.
    """
    import pytest

    plugins = instances(offers_of(distribution, file), parameters or {})
    cases = [
        pytest.param(rule, case, id=f"{plugin.kind} {plugin.title}-{rule.name}")
        for plugin in plugins
        for rule, case in _cases(plugin, (slack or {}).get(plugin.title, 0.0))
    ]

    def test(rule: Rule, case: Any) -> None:
        outcome = apply(rule, case)
        if outcome.verdict == "left out":
            pytest.skip(outcome.reason)
        assert outcome.verdict == "kept", f"{rule.text}: {outcome.reason}"

    marked: Test = pytest.mark.parametrize(("rule", "case"), cases)(test)
    return marked


def offers_of(distribution: str = "", file: Path | str | None = None) -> list[RegisteredPlugin]:
    """All that a distribution, or a local file, offers.

    Raises:
        PluginError: if that is nothing, or some of it cannot be loaded.
    """
    registry = Registry.discover([Path(file)] if file else ())
    wanted = Path(file).stem if file else distribution
    if faults := [fault for fault in registry.faults if fault.distribution == wanted and not fault.usable]:
        raise PluginError("; ".join(map(str, faults)))
    found = [offer for offer in registry.offers() if offer.distribution == wanted]
    if not found:
        if not file and not _is_installed(distribution):
            raise PluginError(f"'{wanted}' is not installed here; in its folder: pip install -e .")
        known = sorted({offer.distribution for offer in registry.offers()})
        raise PluginError(f"'{wanted}' offers no plugin; installed distributions that do: {', '.join(known)}")
    return found


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def instances(offers: list[RegisteredPlugin], parameters: Mapping[str, Mapping[str, Any]]) -> Iterator[Plugin]:
    """One plugin for each class on offer, with its defaults and the parameters given."""
    seen = set()
    for offer in offers:
        if offer.plugin in seen and offer.name not in parameters:
            continue
        seen.add(offer.plugin)
        yield instance_of(offer, parameters.get(offer.name, {}))


def instance_of(offer: RegisteredPlugin, parameters: Mapping[str, Any]) -> Plugin:
    """A plugin with its defaults, the parameters given, and a tiny attack where it needs one.

    Raises:
        PluginError: if a field has no default and no value is given.
    """
    values = {**_stand_ins(offer.plugin), **dict(offer.preset), **parameters}
    if unknown := [name for name in parameters if name not in hints_of(offer.plugin)]:
        raise PluginError(f"{offer.kind} '{offer.name}' has no parameter '{unknown[0]}'")
    needed = [f.name for f in dataclasses.fields(offer.plugin) if _needed(f) and f.name not in values]  # type: ignore[arg-type]
    if needed:
        raise PluginError(
            f"{offer.kind} '{offer.name}' needs {', '.join(needed)}: "
            f'conformance(..., parameters={{"{offer.name}": {{"{needed[0]}": ...}}}})'
        )
    try:
        return offer.plugin(**values)
    except (TypeError, ValueError) as error:
        raise PluginError(f"{offer.kind} '{offer.name}': {error}") from error


def _needed(field: dataclasses.Field[Any]) -> bool:
    missing = dataclasses.MISSING
    return field.init and field.default is missing and field.default_factory is missing


def _stand_ins(plugin: type[Plugin]) -> dict[str, Any]:
    """For every field without a default that takes an attack, several, or a budget: a tiny one."""
    hints, found = hints_of(plugin), {}
    for field in dataclasses.fields(plugin):  # type: ignore[arg-type]
        if not _needed(field):
            continue
        for hint in alternatives(hints[field.name]):
            inner = typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else hint
            if inner in STAND_INS:
                found[field.name] = STAND_INS[inner] if inner is hint else (STAND_INS[inner],)
    return found


def _cases(plugin: Plugin, slack: float) -> Iterator[tuple[Rule, Any]]:
    """The rules that a plugin keeps, each with what it is checked on."""
    for each in general_rules.RULES:
        yield each, plugin
    case, rules = _of_kind(plugin, slack)
    for each in rules:
        yield each, case


def _of_kind(plugin: Plugin, slack: float) -> tuple[Any, tuple[Rule, ...]]:
    match plugin:
        case AnyAttack():
            return AttackCase(plugin, slack), attack_rules.RULES
        case Defense():
            return DefenseCase(plugin), defense_rules.of(plugin)
        case Detector():
            return DetectorCase(plugin), detector_rules.RULES
        case Model():
            return ModelCase(plugin), model_rules.RULES
        case Dataset():
            return DatasetCase(plugin), dataset_rules.RULES
        case Probe():
            return ProbeCase(plugin), probe_rules.RULES
    return plugin, ()
