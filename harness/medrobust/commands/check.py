"""`medrobust check`: whether a plugin keeps the rules of its kind, as a table."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from .options import JsonOption, PluginOption
from .printing import console, counted
from .sessions import open_registry

if TYPE_CHECKING:
    from ..plugins.registered import RegisteredPlugin
    from ..testing.rules import Outcome

STYLES = {"kept": "green", "broken": "bold red", "left out": "dim"}
"""How a verdict is shown."""


def check(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A plugin, or a distribution: all that it offers."),
    ] = None,
    plugin: PluginOption = None,
    fields: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="A parameter of the plugin, as TOML; can be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Check whether a plugin keeps the rules of its kind, offline on tiny images and models."""
    from ..plugins.tracebacks import show

    offers = _wanted(name, plugin or ())
    results: list[tuple[RegisteredPlugin, list[Outcome], float, str]] = []
    for offer in offers:
        begun = time.perf_counter()
        try:
            outcomes = _checked(offer, _parameters(fields or ()))
        except MedrobustError as error:
            show(error)
            if len(offers) == 1:
                raise
            results.append((offer, [], 0.0, str(error)))
            continue
        results.append((offer, outcomes, time.perf_counter() - begun, ""))
        if not as_json:
            _print(offer, outcomes, results[-1][2])
    if as_json:
        typer.echo(json.dumps([_facts(offer, outcomes, reason) for offer, outcomes, _, reason in results], indent=1))
    else:
        for offer, _, _, reason in results:
            if reason:
                console.print(Text.assemble((f"{offer.name}: not checked: ", "yellow"), reason), soft_wrap=True)
    if any(outcome.verdict == "broken" for _, outcomes, _, _ in results for outcome in outcomes):
        raise typer.Exit(1)


def _wanted(name: str | None, files: Sequence[Path]) -> list[RegisteredPlugin]:
    """What is to be checked.

    Raises:
        MedrobustError: if there is nothing of that name.
    """
    from .plugins import wanted_plugins

    registry = open_registry(files)
    if name is None:
        stems = {Path(file).stem for file in files}
        found = [offer for offer in registry.offers() if offer.distribution in stems]
        if not found:
            raise MedrobustError("name a plugin or a distribution, or give a file with --plugin")
        return found
    mine = [offer for offer in registry.offers() if offer.distribution == name]
    return mine or wanted_plugins(registry, name, None)


def _parameters(fields: Sequence[str]) -> dict[str, Any]:
    """Parameters as a grid has them.

    Raises:
        MedrobustError: for what is no TOML.
    """
    import tomllib

    found: dict[str, Any] = {}
    for text in fields:
        key, equals, value = text.partition("=")
        try:
            found |= tomllib.loads(f"{key.strip()} = {value.strip() if equals else ''}")
        except tomllib.TOMLDecodeError as error:
            hint = f"; text stands in quotes: --set '{key.strip()}=\"{value.strip()}\"'" if equals else ""
            raise MedrobustError(f"--set {text}: {error}{hint}") from None
    return found


def _checked(offer: RegisteredPlugin, parameters: dict[str, Any]) -> list[Outcome]:
    from ..testing.suite import check as outcomes_of
    from ..testing.suite import instance_of

    return outcomes_of(instance_of(offer, parameters))


def _print(offer: RegisteredPlugin, outcomes: Sequence[Outcome], seconds: float) -> None:
    broken = [outcome for outcome in outcomes if outcome.verdict == "broken"]
    table, told_before = Table.grid(padding=(0, 2)), set()
    table.add_column()
    table.add_column(no_wrap=True)
    table.add_column(ratio=1, overflow="fold")
    for outcome in outcomes:
        style = STYLES[outcome.verdict]
        told = "as above" if outcome.reason in told_before else outcome.reason or outcome.rule.text
        told_before.add(outcome.reason or told)
        table.add_row(
            Text(outcome.rule.name),
            Text(outcome.verdict, style=style),
            Text(told, style="" if outcome.verdict == "broken" else "dim"),
        )
    console.print(Text(f"{offer.kind} {offer.usual}", style="bold"))
    console.print(table)
    kept = sum(outcome.verdict == "kept" for outcome in outcomes)
    rest = len(outcomes) - kept - len(broken)
    console.print(Text(f"{counted(kept, 'rule')} kept, {len(broken)} broken, {rest} left out; {seconds:.1f} s"))
    console.print()


def _facts(offer: RegisteredPlugin, outcomes: Sequence[Outcome], reason: str) -> dict[str, Any]:
    rules = [{"rule": o.rule.name, "verdict": o.verdict, "reason": o.reason, "text": o.rule.text} for o in outcomes]
    return {"plugin": offer.qualified, "kind": offer.kind, "rules": rules, **({"reason": reason} if reason else {})}
