"""The page of commands, written from the program itself: one section a command, with what `--help` says of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from medrobust.cli import build

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files

PAGE = "reference/commands.md"
_OF_ALL = {"--help", "--debug"}
_INTRODUCTION = """# Commands

What `medrobust COMMAND --help` says, of every command. Each has the options `--help` and `--debug`, which shows the
traceback of every error, including those of plugins; `medrobust --version` prints the version.
"""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page to the site."""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=markdown()))
    return files


def markdown() -> str:
    """The page.

    Raises:
        RuntimeError: if the commands of a distribution cannot be loaded; the page would lack them.
    """
    app, faults = build()
    if faults:
        raise RuntimeError(f"the page of commands would not be complete: {'; '.join(map(str, faults))}")
    return "\n".join([_INTRODUCTION, *_group(typer.main.get_command(app), "medrobust", level=2)])


def _group(group: Any, path: str, level: int) -> Iterator[str]:
    for name, command in group.commands.items():
        yield f"{'#' * level} {path} {name}\n"
        yield f"{_prose(command.help)}\n"
        if hasattr(command, "commands"):
            yield from _group(command, f"{path} {name}", level + 1)
        else:
            yield from _usage(command, f"{path} {name}")


def _usage(command: Any, path: str) -> Iterator[str]:
    """How a command is called, and its arguments and options."""
    context = command.context_class(command, info_name=path)
    yield f"    {command.get_usage(context).removeprefix('Usage: ')}\n"
    # The same text as `--help` shows, whatever version of typer writes it.
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and not _OF_ALL & set(parameter.opts):
            name, told = record
            yield f"`{name}`\n:   {_prose(told)}\n"


def _prose(text: str | None) -> str:
    return re.sub(r"\s+", " ", _literal(text or "")).strip()


def _literal(text: str) -> str:
    """Text in which nothing is Markdown or HTML, but for code in backticks."""
    pieces = re.split(r"(`[^`]+`)", text)
    return "".join(piece if piece.startswith("`") else _escaped(piece) for piece in pieces)


def _escaped(text: str) -> str:
    return re.sub(r"([*_\[\]\\])", r"\\\1", text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"))
