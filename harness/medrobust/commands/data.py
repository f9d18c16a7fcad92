"""The commands `data list` and `data get`; `data check` is in data_check."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn
from rich.table import Table
from rich.text import Text

from ..errors import MedrobustError
from .data_check import check
from .next_command import next_command
from .options import DataRootOption, PluginOption
from .printing import console
from .sessions import open_registry
from .store import say

if TYPE_CHECKING:
    from ..contracts import Dataset, RemoteFile
    from ..plugins.registered import RegisteredPlugin

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A data set, such as isic2018.")]
FieldsArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[FIELD=VALUE]...", help="Its fields, such as subset=path size=64.")
]


def data_commands() -> typer.Typer:
    """The group `medrobust data`."""
    group = typer.Typer(help="List data sets, fetch their files, and check what is there.", no_args_is_help=True)
    group.command(name="list")(list_data)
    group.command(name="get")(get)
    group.command(name="check")(check_data)
    return group


def list_data(plugin: PluginOption = None) -> None:
    """List data sets: size, terms, and whether `data get` can fetch them."""
    table = Table("data set", "size", "terms", "files")
    for offer in open_registry(plugin).offers("dataset"):
        origin = offer.plugin.origin  # type: ignore[attr-defined]
        size = origin.size if origin else ""
        table.add_row(*map(Text, (offer.name, size, offer.plugin.licence, _how(offer))))
    console.print(table)
    say("docs/data.md has pages and layouts. Next: medrobust data get NAME, medrobust data check NAME")


def _how(offer: RegisteredPlugin) -> str:
    """How one gets the files of a data set."""
    origin = offer.plugin.origin  # type: ignore[attr-defined]
    if origin is None:
        return ""
    if origin.access:
        return f"data get; {origin.access}" if origin.files else origin.access
    return "data get"


def get(
    name: NameArgument,
    fields: FieldsArgument = None,
    only: Annotated[
        str, typer.Option("--only", metavar="PATTERN", help="Fetch only files whose place matches, such as 'splits/*'.")
    ] = "*",
    again: Annotated[bool, typer.Option("--again", help="Fetch files again that are there.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only list the files.")] = False,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Fetch the files of a data set into the data root, with checksums; an interrupted download is continued."""
    from ..engine.context import checked_data_root, default_data_root
    from ..engine.downloads import Downloads

    dataset = dataset_of(name, fields or (), plugin)
    files = [file for file in dataset.files if fnmatchcase(file.path, only)]
    if not files:
        raise MedrobustError(nothing_to_fetch(dataset, name, only))
    root = checked_data_root(data_root, "--data-root") or default_data_root()
    if root is None:
        raise MedrobustError(
            "no data root is set: give --data-root DIR or set MEDROBUST_DATA to the folder of your data"
        )
    if dry_run:
        for file in files:
            say(f"{file.url} -> {root / file.path} ({file.known_hash or 'no checksum is known'})")
        return
    downloads = Downloads(root)
    for file in files:
        _fetch(downloads, file, again=again)
    if dataset.origin and dataset.origin.access:
        say(f"By hand: {dataset.origin.access} ({dataset.origin.page}).")
    next_command("data", "check", name, *(fields or ()), plugin=plugin, data_root=data_root)


def _fetch(downloads: Any, file: RemoteFile, *, again: bool) -> None:
    """Fetch one file and say what became of it."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(file.path, total=None)
        outcome = downloads.fetch(file, lambda done, total: bar.update(task, completed=done, total=total), again=again)
    place = downloads.place(file)
    if outcome == "present":
        say(f"{place}: there already, not fetched by this program")
    elif outcome == "there":
        say(f"{place}: there already")
    else:
        checksum = downloads.record(file)["checksum"]
        first = "" if file.known_hash else " (no checksum is published: this one is recorded and compared from now on)"
        say(f"{place}: fetched, {checksum}{first}")


def check_data(
    name: NameArgument,
    fields: FieldsArgument = None,
    images: Annotated[
        int, typer.Option("--images", metavar="N", min=1, help="Decode about N images of each split.")
    ] = 32,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
) -> None:
    """Check the files of a data set: layout, classes, patients, and that images can be read."""
    check(dataset_of(name, fields or (), plugin), name, fields or (), images, data_root)


def dataset_of(name: str, fields: Sequence[str], plugin: Sequence[Path] | None) -> Dataset:
    """The data set of that name with fields given as `field=value`, values as in TOML or bare text.

    Raises:
        MedrobustError: for an unknown name, field or value, with what would be right.
    """
    from ..plugins.specs import build

    registry = open_registry(plugin)
    table = dict(_field(text) for text in fields)
    return build(registry.find("dataset", name), table, registry).plugin  # type: ignore[return-value]


def _field(text: str) -> tuple[str, Any]:
    key, equals, value = text.partition("=")
    if not equals:
        raise MedrobustError(f"'{text}' is no field of a data set; write FIELD=VALUE, such as size=64")
    try:
        return key, tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key, value


def nothing_to_fetch(dataset: Dataset, name: str, only: str) -> str:
    """Why there is nothing to fetch."""
    if dataset.files:
        return f"no file of {name} matches --only '{only}'; there are {', '.join(file.path for file in dataset.files)}"
    if dataset.origin is None:
        return f"{name} is made or filled by you, so there is nothing to fetch"
    return f"{name} cannot be fetched by a program: it needs {dataset.origin.access}; its page is {dataset.origin.page}"
