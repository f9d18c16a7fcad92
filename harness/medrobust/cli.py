"""The command line: run, plan, plugins, why, export; plugins add theirs through `medrobust_commands`."""

from __future__ import annotations

import dataclasses
import inspect
import json
import os
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from .contracts import Dataset
from .engine.estimate import estimate
from .engine.progress import Terminal, human_time
from .errors import MedrobustError
from .grid.cells import Entry
from .grid.identity import difference, flatten
from .options import (
    AccelerationOption,
    DataRootOption,
    DeviceOption,
    EvidenceOption,
    ImagesOption,
    JsonOption,
    PluginOption,
    ProfileOption,
    StoreOption,
    StrictOption,
    WorkersOption,
    console,
    errors,
    open_session,
    print_clashes,
    print_evidence,
    print_outcome,
)
from .plugins.registry import RegisteredPlugin, Registry
from .plugins.specs import plain
from .results.export import export_perturbations
from .results.store import Store
from .store_commands import store_app

app = typer.Typer(
    name="medrobust",
    help="Benchmark the adversarial robustness of medical image classifiers.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

app.add_typer(store_app, name="store")

DEFAULT_STORE = Path("medrobust-store")
GridArgument = Annotated[Path, typer.Argument(metavar="GRID", help="A grid file (TOML).")]


@app.command()
def run(
    grid: GridArgument,
    store: StoreOption = None,
    profile: ProfileOption = "",
    images: ImagesOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    workers: WorkersOption = None,
    device: DeviceOption = "",
    strict: StrictOption = False,
    evidence: EvidenceOption = False,
    acceleration: AccelerationOption = "auto",
) -> None:
    """Compute every cell of a grid that the store lacks; can be stopped and started again at any time."""
    session = open_session(
        store or DEFAULT_STORE,
        plugin=plugin,
        data_root=data_root,
        workers=workers,
        device=device,
        strict=strict,
        acceleration=acceleration,
    )
    plan_ = session.plan(grid, profile=profile, images=images, evidence=evidence)
    print_clashes(session)
    outcome = session.run(plan_, Terminal(console))
    if evidence:
        print_evidence(session.evidence(plan_))
    print_outcome(outcome, session.store.path)
    if len(plan_.cells) > len(outcome.problems):
        where = os.path.relpath(session.store.path)
        console.print(f"Next: medrobust leaderboard {where}", markup=False, highlight=False, soft_wrap=True)
    if not outcome.complete:
        raise typer.Exit(1)


@app.command()
def plan(
    grid: GridArgument,
    store: StoreOption = None,
    profile: ProfileOption = "",
    images: ImagesOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what a run would do: cells cached, missing, excluded and impossible, steps, and an estimate of the time."""
    session = open_session(store or DEFAULT_STORE, plugin=plugin, data_root=data_root)
    plan_ = session.plan(grid, profile=profile, images=images)
    print_clashes(session)
    done = session.done()
    finished = set(done.cells)
    steps = session.steps(plan_)
    cached = sum(1 for c in plan_.cells if c in finished)
    guess = estimate(steps, session.store)
    if as_json:
        cells = [
            {
                "cell": e.cell.id if e.cell else None,
                **e.row(),
                "state": _state(e, finished),
                "reason": e.excluded or e.impossible,
            }
            for e in plan_.entries
        ]
        summary = {"cells": cells, "steps": len(steps), "estimated_seconds": guess}
        typer.echo(json.dumps(summary, indent=1))
        return
    console.print(Text(f"Plan of {grid}" + (f", profile {profile}" if profile else "")), soft_wrap=True)
    table = Table("cells", "")
    excluded, impossible = list(plan_.excluded), list(plan_.impossible)
    table.add_row("in the store", str(cached))
    table.add_row("to compute", f"{len(plan_.cells) - cached} in {len(steps)} steps")
    table.add_row("excluded", str(len(excluded)))
    table.add_row("impossible here", str(len(impossible)))
    console.print(table)
    for title, reasons in (
        ("Excluded", Counter(e.excluded for e in excluded)),
        ("Impossible here", Counter(e.impossible for e in impossible)),
    ):
        for reason, count in reasons.most_common():
            console.print(Text(f"{title} ({count}): {reason}"), soft_wrap=True)
    if impossible:
        console.print(_beyond(impossible), highlight=False, soft_wrap=True)
    if steps:
        text = "unknown, as the store holds no record of such steps" if guess is None else f"about {human_time(guess)}"
        console.print(f"Estimated time on one process: {text}", highlight=False)
        missing = [c for c in plan_.cells.values() if c.id not in finished]
        for cell in missing[:10]:
            console.print(Text(f"  {cell.id}  {cell.describe()}"), soft_wrap=True)
        if len(missing) > 10:
            console.print(f"  and {len(missing) - 10} more (--json lists all)")
        console.print(f"Next: medrobust run {grid}", markup=False, highlight=False, soft_wrap=True)


def _beyond(impossible: Sequence[Entry]) -> str:
    """What the combinations that lack data or weights would cost, in models, attacks and cells."""
    rows = [entry.row() for entry in impossible]
    fit = ("dataset", "train_set", "model", "seed")
    models = {tuple(row[a] for a in fit) for row in rows}
    defended = {tuple(row[a] for a in (*fit, "defense")) for row in rows if row["defense"] != "none"}
    attacks = {tuple(v for a, v in row.items() if a != "evaluate_on") for row in rows if row["attack"] != "none"}
    counts = ((models, "model to train"), (defended, "defended model"), (attacks, "attack"), (rows, "cell"))
    told = [f"{len(c)} {what if len(c) == 1 else _plural(what)}" for c, what in counts if c]
    return f"With that there: {', '.join(told)}"


def _plural(what: str) -> str:
    noun, _, rest = what.partition(" to ")
    return f"{noun}s" + (f" to {rest}" if rest else "")


def _state(entry: Any, finished: set[str]) -> str:
    if entry.excluded:
        return "excluded"
    if entry.impossible:
        return "impossible"
    return "cached" if entry.cell.id in finished else "missing"


@app.command()
def plugins(
    name: Annotated[str | None, typer.Argument(help="Show one plugin in full.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind: dataset, model, attack, defense.")] = None,
    plugin: PluginOption = None,
    strict: StrictOption = False,
    as_json: JsonOption = False,
) -> None:
    """List every plugin with its distribution, parameters, defaults and citation."""
    registry = Registry.discover(plugin or (), strict=strict)
    offers = (
        [o for o in registry.offers(kind) if name in (None, o.name, o.qualified)]
        if kind is None or kind in _kinds()
        else []
    )
    if not offers:
        registry.find(kind or "attack", name or "") if kind in _kinds() and name else None
        raise MedrobustError(
            f"no {kind or 'plugin'} is called '{name}'; 'medrobust plugins' lists all"
            if name
            else f"no kind is called '{kind}'; valid: {', '.join(_kinds())}"
        )
    if as_json:
        typer.echo(json.dumps([_plugin_facts(o) for o in offers], indent=1))
        return
    for each in _kinds():
        mine = [o for o in offers if o.kind == each]
        if mine:
            _print_offers(each, mine, full=name is not None)
    for fault in registry.faults:
        console.print(Text(f"not loaded: {fault}", style="red"), soft_wrap=True)


def _kinds() -> tuple[str, ...]:
    from .plugins.hookspecs import KINDS

    return KINDS


def _plugin_facts(offer: RegisteredPlugin) -> dict[str, Any]:
    preset = dict(offer.preset)
    parameters = {
        f.name: None if f.default is f.default_factory is dataclasses.MISSING else plain(_default(f))
        for f in dataclasses.fields(offer.plugin)  # type: ignore[arg-type]
        if f.name not in preset
    }
    return {
        "kind": offer.kind,
        "name": offer.name,
        "distribution": offer.distribution,
        "version": offer.version,
        "parameters": parameters,
        "documentation": inspect.cleandoc(offer.plugin.__doc__ or ""),
        "citation": getattr(offer.plugin, "citation", ""),
        "licence": getattr(offer.plugin, "licence", ""),
    }


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default is not dataclasses.MISSING:
        return field.default
    return None if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown_default(field: dataclasses.Field[Any]) -> str:
    if field.default is field.default_factory is dataclasses.MISSING:
        return f"{field.name} (required)"
    value = _default(field)
    if dataclasses.is_dataclass(value) and type(value).__str__ is object.__str__:
        return f"{field.name}=..."
    mark = " (cumulative)" if field.metadata.get("cumulative") else ""
    return f"{field.name}={value!s}{mark}" if not isinstance(value, str) else f'{field.name}="{value}"'


def _print_offers(kind: str, offers: list[RegisteredPlugin], *, full: bool) -> None:
    groups: dict[type, list[RegisteredPlugin]] = {}
    for offer in offers:
        groups.setdefault(offer.plugin, []).append(offer)
    table = Table(title=f"{kind}s", title_justify="left", show_lines=full)
    table.add_column("name", overflow="fold", ratio=3)
    table.add_column("from", overflow="fold", ratio=2)
    table.add_column("parameters with defaults", overflow="fold", ratio=4)
    table.add_column("what it is", overflow="fold", ratio=5)
    for cls, group in groups.items():
        preset = dict(group[0].preset)
        fields = [f for f in dataclasses.fields(cls) if f.name not in preset]
        first = group[0]
        documentation = inspect.cleandoc(cls.__doc__ or "") if full or len(group) > 1 else first.summary
        about = documentation if full else documentation.partition("\n")[0]
        citation = getattr(cls, "citation", "") if issubclass(cls, Dataset) else ""
        licence = getattr(cls, "licence", "") if issubclass(cls, Dataset) else ""
        about += (f"\n{citation}" if citation else "") + (f"\nLicence: {licence}" if licence else "")
        if not citation and not full:
            about += _citation(cls)
        names = ", ".join(o.name for o in group)
        parameters = ", ".join(_shown_default(f) for f in fields)
        table.add_row(Text(names), Text(f"{first.distribution} {first.version}"), Text(parameters), Text(about))
    console.print(table)


def _citation(cls: type) -> str:
    """The paragraph of a docstring that names its source, if the first line does not."""
    paragraphs = [" ".join(p.split()) for p in (cls.__doc__ or "").split("\n\n")[1:]]
    return next((f"\n{p}" for p in paragraphs if any(str(year) in p for year in range(1980, 2031))), "")


@app.command()
def why(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="Identity of a cell, or its beginning.")],
    grid: Annotated[
        Path | None, typer.Option("--grid", metavar="GRID", help="Compare with a cell of this grid.")
    ] = None,
    store: StoreOption = None,
    profile: ProfileOption = "",
    images: ImagesOption = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Say what a cell's identity rests on, and which field makes it another than the nearest one in the store."""
    session = open_session(store or DEFAULT_STORE, plugin=plugin, data_root=data_root)
    columns = ["identity", "reason", "versions", "hardware", "precision"]
    stored = session.store.cells(columns) if session.store.exists else None
    if stored is not None:
        found = [c for c in stored.index if c.startswith(cell)]
        if len(found) == 1:
            row = stored.loc[found[0]]
            console.print(
                Text(f"{found[0]}: {row['status']}" + (f", {row['reason']}" if row["reason"] else "")), soft_wrap=True
            )
            console.print(Text(f"  computed by {_computed_by(row)}"), soft_wrap=True)
            for key, value in flatten(json.loads(row["identity"])):
                console.print(Text(f"  {key} = {json.dumps(value)}"), soft_wrap=True)
            return
        if len(found) > 1:
            raise MedrobustError(
                f"'{cell}' is the beginning of {len(found)} cells; give more of it: {', '.join(found[:4])}"
            )
    if grid is None:
        raise MedrobustError(
            f"the store {session.store.path} has no cell '{cell}'; with --grid, cells of a grid are compared"
        )
    planned = [c for c in session.plan(grid, profile=profile, images=images).cells.values() if c.id.startswith(cell)]
    if len(planned) != 1:
        raise MedrobustError(
            f"{grid} has {len(planned) or 'no'} cells that begin with '{cell}'; 'medrobust plan {grid}' lists them"
        )
    console.print(Text(f"{planned[0].id}: not in the store: {planned[0].describe()}"), soft_wrap=True)
    _print_nearest(planned[0].fields, session.store)


def _computed_by(row: Any) -> str:
    """Build, hardware and precision of a record."""
    versions = json.loads(row["versions"] or "{}")
    precision = f", crafted in {row['precision']}" if row["precision"] else ""
    return f"torch {versions.get('torch', 'unknown')} on {row['hardware'] or 'unknown hardware'}{precision}"


@app.command()
def export(
    store: Annotated[Path, typer.Argument(metavar="STORE", help="Directory of a store.")],
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where to write.")] = Path("perturbations"),
) -> None:
    """Write the universal perturbations of a store as arrays (npy) and as pictures (PNG) scaled for the eye."""
    opened = Store(store.absolute())
    if not opened.exists:
        raise MedrobustError(f"{store} holds no store; 'medrobust run GRID --store {store}' makes one")
    pictures = export_perturbations(opened, out)
    text = f"{len(pictures)} perturbations, each as .npy (pixels in [0, 1]) and .png (scaled for the eye): {out}"
    console.print(text, markup=False, highlight=False, soft_wrap=True)


def _print_nearest(fields: dict[str, Any], store: Store) -> None:
    frame = store.cells(["identity"])
    identities = dict(zip(frame["cell"], frame["identity"], strict=True))
    if not identities:
        console.print("The store is empty.")
        return
    compared = [(c, difference(json.loads(text), json.loads(json.dumps(fields)))) for c, text in identities.items()]
    nearest, differing = min(compared, key=lambda pair: len(pair[1]))
    console.print(f"The nearest cell there is {nearest}; it differs in", highlight=False)
    for name, old, new in differing:
        console.print(Text(f"  {name}: {json.dumps(old)} there, {json.dumps(new)} here"), soft_wrap=True)


def main() -> None:
    """Entry point: a user's mistake ends with its message and status 1, wrong usage with status 2."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    registry = Registry.discover()
    registry.add_commands(app)
    try:
        app()
    except MedrobustError as error:
        errors.print(Text.assemble(("error: ", "bold red"), str(error)), soft_wrap=True)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        errors.print("stopped; the same command goes on where it was", highlight=False)
        raise SystemExit(130) from None
    except BrokenPipeError:
        # The reader of a pipe has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(141) from None


if __name__ == "__main__":
    main()
