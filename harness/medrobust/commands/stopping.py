"""Ctrl-C and SIGTERM: a command ends in order, tells how far it came, and how to go on."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, Final

from rich.text import Text
from typer import Context
from typer.core import TyperGroup

from .printing import errors

ONE_PRESS: Final = 1.0
"""Seconds in which several signals are one: a terminal sends Ctrl-C to the program and to what started it, which often
passes it on."""
NAMES: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Terminated(KeyboardInterrupt):
    """SIGTERM; libraries let it pass wherever they let Ctrl-C pass."""


class Stopped(BaseException):
    """A command was asked to end. Typer knows nothing of it: of a KeyboardInterrupt it would not let anyone know."""

    def __init__(self, by: BaseException) -> None:
        super().__init__()
        self.number = signal.SIGTERM if isinstance(by, Terminated) else signal.SIGINT
        self.notes = notes_of(by)


class Program(TyperGroup):
    """The program as a group of commands, each of which can be stopped."""

    def invoke(self, ctx: Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as stop:
            raise Stopped(stop) from None


def notes_of(error: BaseException) -> list[str]:
    """What an error tells of how far the program came: the last of its notes, from who knew most."""
    return getattr(error, "__notes__", [])[-1:]


@contextmanager
def stoppable() -> Iterator[None]:
    """While this lasts, SIGTERM ends the program as Ctrl-C does; a second of them a while later ends it at once.

    Signals that are ignored (Ctrl-C by what a shell runs in the background) stay so.
    """
    before: dict[int, Any] = {}
    first = 0.0

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal first
        if first:
            if time.monotonic() - first > ONE_PRESS:
                os._exit(128 + number)
            return
        first = time.monotonic()
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    if threading.current_thread() is threading.main_thread():
        for asked, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
            if signal.getsignal(asked) == usual:
                before[asked] = signal.signal(asked, stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def tell_stopped(stopped: Stopped) -> int:
    """Say that the program was stopped, and how to go on; the exit status, as shells have it."""
    told = "; ".join([f"stopped by {NAMES[stopped.number]}", *stopped.notes])
    errors.print(Text.assemble((told, "yellow")), highlight=False, soft_wrap=True)
    if stopped.notes:
        tell_next()
    return 128 + stopped.number


def tell_next() -> None:
    """The command that goes on: the same one."""
    errors.print(f"Next: {shlex.join(['medrobust', *sys.argv[1:]])}", markup=False, highlight=False, soft_wrap=True)
