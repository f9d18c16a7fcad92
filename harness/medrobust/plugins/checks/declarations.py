"""What a plugin class says of itself, apart from its fields: its contract, its name, its class variables."""

from __future__ import annotations

import dataclasses
import difflib
import inspect
import typing
from collections.abc import Iterator
from typing import Any, ClassVar, Final, get_args

from ...contracts import (
    Attack,
    DerivedAttack,
    Ensemble,
    Knowledge,
    Norm,
    Plugin,
    Preprocessing,
    RandomPreprocessing,
    Task,
    ThreatModel,
    TrainingDefense,
    UniversalAttack,
)
from ...errors import did_you_mean
from ..hints import hints_of, misfit
from ..hookspecs import KINDS
from .problem import Problem

BASES: Final = "medrobust.Attack, Dataset, Model, Preprocessing, TrainingDefense, Detector or Probe"
RUN: Final[dict[str, tuple[type[Plugin], ...]]] = {
    "attack": (Attack, Ensemble, UniversalAttack),
    "defense": (Preprocessing, RandomPreprocessing, TrainingDefense),
}
"""Where a kind has several contracts, those that the host knows how to run."""
LIKENESS: Final = 0.8
"""From which likeness on a name counts as misspelt."""


def class_problem(plugin: Any) -> Problem | None:
    """Why something is no plugin class at all, or None."""
    if isinstance(plugin, Plugin):
        name = type(plugin).__name__
        return Problem.at(type(plugin), "", f"is an instance; return the class itself, {name} and not {name}()")
    if not (isinstance(plugin, type) and issubclass(plugin, Plugin)):
        return Problem(f"{plugin!r} is not a plugin class; derive it from {BASES}")
    text = _class_problem(plugin)
    return Problem.at(plugin, "", text) if text else None


def _class_problem(plugin: type[Plugin]) -> str:
    if getattr(plugin, "kind", None) not in KINDS:
        return f"is not derived from a contract; derive it from {BASES}"
    if not isinstance(getattr(plugin, "name", None), str) or not plugin.name:
        return 'has no class variable `name`; write `name: ClassVar[str] = "..."`'
    if ":" in plugin.name or plugin.name.startswith("@"):
        return f"its name {plugin.name!r} must not contain ':' or begin with '@'"
    if not dataclasses.is_dataclass(plugin) or not plugin.__dataclass_params__.frozen:
        return "is not a frozen dataclass; decorate it with @dataclass(frozen=True)"
    run = RUN.get(plugin.kind, ())
    if run and not _derives(plugin, *run):
        names = [each.__name__ for each in run]
        return f"cannot be run; derive it from medrobust.{', '.join(names[:-1])} or {names[-1]}"
    if missing := sorted(getattr(plugin, "__abstractmethods__", ())):
        own = [name for name, value in _own(plugin) if callable(value)]
        near = {name: difflib.get_close_matches(name, own, n=1, cutoff=0.6) for name in missing}
        told = [f"{name} (`{found[0]}` looks like it)" if found else name for name, found in near.items()]
        return f"does not implement {', '.join(told)}"
    if plugin.kind == "attack" and not hasattr(plugin, "threat"):
        return 'declares no `threat`; write `threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})`'
    try:
        hints = hints_of(plugin)
    except Exception as error:  # noqa: BLE001 - an annotation may be any expression
        return f"has an annotation that cannot be read: {type(error).__name__}: {error}"
    added = [name for name in inspect.get_annotations(plugin) if typing.get_origin(hints[name]) is not ClassVar]
    if added and "__dataclass_fields__" not in vars(plugin):
        return f"adds `{added[0]}` without being a dataclass itself; decorate it with @dataclass(frozen=True)"
    return ""


def declaration_problems(plugin: type[Plugin]) -> Iterator[Problem]:
    """What is wrong with the class variables of a plugin, and names that look like misspelt ones of its contract."""
    declared = class_variables(plugin)
    for owner in plugin.__mro__:
        for name in vars(owner).keys() & declared.keys() if not _is_contract(owner) else ():
            value = vars(owner)[name]
            if isinstance(value, ThreatModel):
                yield from (Problem.at(owner, name, text) for text in _threat_problems(value))
            elif wrong := misfit(declared[name], value):
                yield Problem.at(owner, name, f"`{name}` is {value!r}; {wrong}")
    if _derives(plugin, DerivedAttack) and "of" not in {f.name for f in dataclasses.fields(plugin)}:  # type: ignore[arg-type]
        yield Problem.at(plugin, "", "has no field `of`, the attack that it derives from; write `of: AnyAttack`")
    yield from _misspelt(plugin)


def class_variables(plugin: type[Plugin]) -> dict[str, Any]:
    """The class variables that a plugin's contracts declare, with their types."""
    found: dict[str, Any] = {}
    for base in reversed(plugin.__mro__):
        if _is_contract(base):
            hints = hints_of(base).items()
            found |= {n: typing.get_args(h)[0] for n, h in hints if typing.get_origin(h) is ClassVar and n[:1] != "_"}
    return found


def _threat_problems(threat: ThreatModel) -> Iterator[str]:
    """Words in a threat model that nobody knows: no budget and no goal of a grid would ever match them."""
    for word, given, known in (
        ("norm", threat.norms, get_args(Norm)),
        ("goal", threat.goals, ("untargeted", "targeted")),
        ("task", threat.tasks, get_args(Task)),
    ):
        if not isinstance(given, set | frozenset):
            yield f"its threat model has {word}s = {given!r}; write a set, such as {{{known[0]!r}}}"
            continue
        if not given:
            yield f"its threat model names no {word}; valid: {', '.join(known)}"
        for name in sorted(map(str, given - set(known))):
            plain = "".join(letter for letter in name.lower() if letter.isalnum())
            yield f"its threat model has the unknown {word} {name!r}{_near(plain, known)}"
    if (knowledge := threat.knowledge) not in get_args(Knowledge):
        yield f"its threat model has the unknown knowledge {knowledge!r}{_near(str(knowledge), get_args(Knowledge))}"
    if wrong := misfit(bool, threat.minimal):
        yield f"its threat model has minimal = {threat.minimal!r}; {wrong}"
    if threat.queries is not None and (type(threat.queries) is not int or threat.queries < 1):
        yield f"its threat model has queries = {threat.queries!r}; it must be a whole number of at least 1, or None"


def _near(name: str, known: tuple[str, ...]) -> str:
    hint = did_you_mean(name, known)
    return hint if "valid:" in hint else f"{hint} (valid: {', '.join(known)})"


def _misspelt(plugin: type[Plugin]) -> Iterator[Problem]:
    """Methods and class variables whose name is nearly one that the contract looks for, and that nothing looks at."""
    contracts = [base for base in plugin.__mro__ if _is_contract(base)]
    known = {name for base in contracts for name in (*vars(base), *hints_of(base)) if not name.startswith("_")}
    own = {name for name, _ in _own(plugin)}
    fields = {f.name for f in dataclasses.fields(plugin)}  # type: ignore[arg-type]
    for name in sorted(own - fields - known):
        for near in difflib.get_close_matches(name, known - own - fields, n=1, cutoff=LIKENESS):
            yield Problem.at(plugin, name, f"defines `{name}`, which nothing looks at; did you mean `{near}`?")


def _own(plugin: type[Plugin]) -> Iterator[tuple[str, Any]]:
    """What the author's classes define publicly, by name."""
    for owner in plugin.__mro__:
        if not _is_contract(owner) and _derives(owner, Plugin):
            yield from ((name, value) for name, value in vars(owner).items() if not name.startswith("_"))


def _derives(cls: type, *bases: type) -> bool:
    """As `issubclass`, which for abstract classes looks at all other subclasses, each time a module brings more."""
    return not set(bases).isdisjoint(cls.__mro__)


def _is_contract(cls: type) -> bool:
    return cls.__module__.startswith("medrobust.contracts")
