"""Errors for people: what is wrong, where, and what would be right.

Every error a user can cause derives from `MedrobustError`; the command line prints its message without a
traceback and exits with status 1. Anything else that escapes is a defect of the program.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MedrobustError(Exception):
    """Something a user can fix; the message says how."""


class GridError(MedrobustError):
    """A grid cannot be read; the message names file, key, what was expected and the nearest valid name."""


class PluginError(MedrobustError):
    """A plugin is missing, ambiguous or broken."""


class DataUnavailable(MedrobustError):  # noqa: N818 - a name that says it
    """A data set or weights file is not on this machine; the message says what to put where."""


class DataError(MedrobustError):
    """A data set is there and cannot be used as asked: an unreadable image, a class missing from a slice."""


class ModelError(MedrobustError):
    """A model cannot be built or its checkpoint does not fit."""


class StoreError(MedrobustError):
    """A store cannot be read or written."""


class LostError(StoreError):
    """What a store should hold is damaged or gone; running its grid again makes it anew."""


class PlaceError(StoreError):
    """The folder of a store or of the cache cannot be written, or is gone: a run ends, and the next one goes on."""


class ExecutorError(MedrobustError):
    """What runs steps cannot go on, such as a cluster that is gone; what finished steps wrote is in the store."""


class WorkerLostError(MedrobustError):
    """A step was given up because the workers that were at it died."""


def shown(value: object, most: int = 120) -> str:
    """A value as Python writes it, cut where it is too long for a message.

    >>> shown("x" * 200, 10)
    "'xxxxxxxxx..."
    """
    return cut(repr(value), most)


def cut(text: object, most: int = 500) -> str:
    """What another library says of a stranger's file, cut where it repeats too much of it.

    >>> cut("x" * 200, 10)
    'xxxxxxxxxx...'
    """
    whole = str(text)
    return whole if len(whole) <= most else f"{whole[:most]}..."


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """A hint that ends an error message: the nearest valid name, or a few of them.

    >>> did_you_mean("pdg", ["pgd", "fgsm"])
    "; did you mean 'pgd'?"
    """
    names = sorted({each[:80] for each in valid})
    if near := difflib.get_close_matches(name[:200], names, n=1, cutoff=0.6):
        return f"; did you mean '{near[0]}'?"
    if not names:
        return ""
    shown = ", ".join(names[:12]) + (", ..." if len(names) > 12 else "")
    return f"; valid: {shown}"
