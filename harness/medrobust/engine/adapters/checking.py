"""All attacks of the providers, one after the other, with what is said of each."""

from __future__ import annotations

import dataclasses
import multiprocessing
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import MappingProxyType
from typing import Any, Final

from ...contracts import AnyAttack, Attack
from ...errors import MedrobustError
from ...plugins.providers import Library
from ...plugins.registered import RegisteredPlugin
from ...plugins.registry import Registry
from ...plugins.specs import build
from .reference import Reference
from .trial import Outcome, attempt

FEW: Final = (20, 3)
"""What whole numbers, such as iterations, are reduced to for an attack that does not end in time with its own."""
LONGER: Final = 15
"""Times its limit that an attack has which nothing more can be reduced of, and one beside its twin."""
NEEDED: Final[Mapping[str, Any]] = {"int": 10, "float": 0.1}
"""Values of parameters that a library gives no default."""


@dataclass(frozen=True)
class Checked:
    """One plugin of a library and what came of it.

    Attributes:
        name: its name, with the prefix.
        aliases: other names of it.
        budget: what it was tried with.
        settings: fields that were not at their defaults.
        outcome: what came of it.
        twin: the bundled attack that does the same, with its outcome under the same settings.
        twin_outcome: what came of that.
        twinned: outcome of the library's attack under the settings in which both are the same.
        twin_settings: these settings.
    """

    name: str
    aliases: tuple[str, ...]
    budget: str
    settings: Mapping[str, Any]
    outcome: Outcome
    twin: str = ""
    twin_outcome: Outcome | None = None
    twinned: Outcome | None = None
    twin_settings: Mapping[str, Any] = field(default_factory=dict)


Entry = tuple[Library, str, RegisteredPlugin | None, tuple[str, ...], str]
"""A library, one of its names, the plugin, other names of it, and why there is none."""


def check(
    libraries: Sequence[Library],
    registry: Registry,
    reference: Reference,
    limit: float,
    tell: Callable[[int, int, float, Checked], None],
    only: str = "",
    jobs: int = 1,
    known: Mapping[str, Checked] = MappingProxyType({}),
) -> dict[str, list[Checked]]:
    """Try every attack of the libraries; `tell` is given (done, all, seconds left, the last one).

    `only` limits it to names that contain this text; `jobs` processes share the work. What is `known` by name and ran,
    or was left out, is not tried again.
    """
    work: list[Entry] = []
    found: dict[str, list[Checked]] = {}
    for library in libraries:
        for name, entry in _plugins(library).items():
            before = known.get(f"{library.prefix}:{name}")
            if before is not None and before.outcome.status in ("ok", "excluded"):
                found.setdefault(library.prefix, []).append(before)
            elif only in name:
                work.append((library, name, *entry))
    began = time.perf_counter()
    for done, (prefix, checked) in enumerate(_shared(work, registry, reference, limit, jobs), 1):
        found.setdefault(prefix, []).append(checked)
        tell(done, len(work), (time.perf_counter() - began) / done * (len(work) - done), checked)
    return {prefix: sorted(rows, key=lambda row: row.name.lower()) for prefix, rows in found.items()}


def _shared(
    work: Sequence[Entry], registry: Registry, reference: Reference, limit: float, jobs: int
) -> Iterator[tuple[str, Checked]]:
    """What came of each entry, as it ends."""
    if jobs == 1:
        yield from ((each[0].prefix, _tried(each, registry, reference, limit)) for each in work)
        return
    context = multiprocessing.get_context("fork")
    pipes: list[Connection] = []
    processes: list[BaseProcess] = []
    for number in range(jobs):
        ours, theirs = context.Pipe(duplex=False)

        def run(pipe: Connection = theirs, mine: Sequence[Entry] = work[number::jobs]) -> None:
            with suppress(KeyboardInterrupt):  # the first process says what there is to say
                for each in mine:
                    pipe.send((each[0].prefix, _tried(each, registry, reference, limit)))
            pipe.close()

        processes.append(context.Process(target=run))
        processes[-1].start()
        theirs.close()
        pipes.append(ours)
    try:
        while pipes:
            for pipe in wait(pipes):
                assert isinstance(pipe, Connection)
                try:
                    yield pipe.recv()
                except EOFError:
                    pipes.remove(pipe)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _tried(entry: Entry, registry: Registry, reference: Reference, limit: float) -> Checked:
    library, name, offer, aliases, reason = entry
    whole = f"{library.prefix}:{name}"
    if offer is None:
        return Checked(whole, aliases, "", {}, Outcome("excluded", reason))
    return _checked(whole, aliases, offer, library, registry, reference, limit)


def _plugins(library: Library) -> dict[str, tuple[RegisteredPlugin | None, tuple[str, ...], str]]:
    """Each plugin once, with its other names; None with the reason for one that cannot be had."""
    found: dict[str, tuple[RegisteredPlugin | None, tuple[str, ...], str]] = {}
    for name in library.names():
        try:
            offer = library.plugin(name)
        except MedrobustError as error:
            found[name] = None, (), str(error).partition(f"'{library.prefix}:{name}': ")[2] or str(error)
            continue
        own = offer.name.partition(":")[2]
        others = found[own][1] if own in found else ()
        found[own] = offer, (*others, name) if name != own else others, ""
    return dict(sorted(found.items()))


def _checked(
    name: str,
    aliases: tuple[str, ...],
    offer: RegisteredPlugin,
    library: Library,
    registry: Registry,
    reference: Reference,
    limit: float,
) -> Checked:
    given = library.provider.tried_with.get(name.partition(":")[2], {})
    settings = {**dict(_needed(offer)), **given}
    spec = build(offer, settings, registry)
    attack = spec.plugin
    assert isinstance(attack, Attack)
    budget = reference.budget(attack)
    if reason := reference.bars(spec, budget):
        return Checked(name, aliases, str(budget), settings, Outcome("excluded", reason))
    ways = [{}, *(fewer for most in FEW if not given and (fewer := _fewer(attack, most)))]
    for fewer in ways:
        reduced: Attack = dataclasses.replace(attack, **fewer)  # type: ignore[type-var]
        outcome = attempt(reduced, reference, budget, limit * LONGER if fewer is ways[-1] else limit)
        if outcome.status != "too slow":
            break
    checked = Checked(name, aliases, str(budget), settings | fewer, outcome)
    twins = library.provider.twins.get(name.partition(":")[2])
    return checked if twins is None else _beside(checked, twins, offer, registry, reference, limit)


def _beside(
    checked: Checked,
    twins: tuple[Mapping[str, Any], Mapping[str, Any]],
    offer: RegisteredPlugin,
    registry: Registry,
    reference: Reference,
    limit: float,
) -> Checked:
    """The same with the bundled attack beside it, both with the settings under which they do the same."""
    theirs, ours = twins
    try:
        own = registry.find("attack", str(ours["name"]))
        native = build(own, {key: value for key, value in ours.items() if key != "name"}, registry)
    except MedrobustError:
        return checked
    attack = build(offer, theirs, registry).plugin
    assert isinstance(attack, Attack)
    assert isinstance(native.plugin, AnyAttack)
    budget = reference.budget(attack)
    pair: tuple[AnyAttack, ...] = (attack, native.plugin)
    both = [attempt(each, reference, budget, limit * LONGER) for each in pair]
    return dataclasses.replace(checked, twin=native.label, twinned=both[0], twin_outcome=both[1], twin_settings=theirs)


def _needed(offer: RegisteredPlugin) -> Iterable[tuple[str, Any]]:
    """Values for parameters without a default."""
    for each in dataclasses.fields(offer.plugin):  # type: ignore[arg-type]
        missing = each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING
        if each.init and missing:
            yield each.name, NEEDED.get(str(getattr(each.type, "__name__", each.type)), "10")


def _fewer(attack: Attack, most: int) -> dict[str, Any]:
    """Fewer iterations: every whole number above `most`, reduced to it."""
    values = {f.name: getattr(attack, f.name) for f in dataclasses.fields(attack)}  # type: ignore[arg-type]
    return {name: most for name, value in values.items() if type(value) is int and value > most and name != "batch"}
