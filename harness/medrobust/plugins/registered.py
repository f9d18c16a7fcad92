"""What discovery yields: a plugin under a name, or why there is none."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..contracts import Plugin, Reference
from ..errors import PluginError
from .tracebacks import own_line, show


@dataclass(frozen=True)
class Origin:
    """Where plugins come from.

    Attributes:
        distribution: the distribution, or the name of a local file.
        version: its version.
        bundled: whether it comes with medrobust; a bundled bare name is never shadowed.
    """

    distribution: str
    version: str
    bundled: bool = False

    def __str__(self) -> str:
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class RegisteredPlugin:
    """A plugin under one name, with where it comes from.

    Attributes:
        name: the name used in grids; of what a provider offers, with the prefix: `foolbox:LinfPGD`.
        plugin: the class.
        origin: where it comes from.
        preset: fields fixed by the registration.
        summary: what it is, in one line.
        references: what to cite for it.
    """

    name: str
    plugin: type[Plugin]
    origin: Origin
    preset: tuple[tuple[str, Any], ...] = ()
    summary: str = ""
    references: tuple[Reference, ...] = ()

    @property
    def kind(self) -> str:
        return self.plugin.kind

    @property
    def distribution(self) -> str:
        return self.origin.distribution

    @property
    def version(self) -> str:
        return self.origin.version

    @property
    def bundled(self) -> bool:
        return self.origin.bundled

    @property
    def usual(self) -> str:
        """The name to write: the bare one of what comes with medrobust, else the qualified one."""
        return self.name if self.bundled else self.qualified

    @property
    def qualified(self) -> str:
        """The name that always works: `distribution:name`, or the name itself of what a provider offers."""
        return self.name if ":" in self.name else f"{self.distribution}:{self.name}"


@dataclass(frozen=True)
class LoadError:
    """A plugin, or a whole entry point, that cannot be used, or not by its own name; the run goes on without it.

    Attributes:
        origin: where it comes from.
        where: the entry point, hook or class.
        cause: what is wrong.
        remedy: what to do.
        error: what was raised, if anything was.
        usable: whether it can be used all the same.
    """

    origin: Origin
    where: str
    cause: str
    remedy: str
    error: BaseException | None = field(default=None, repr=False, compare=False)
    usable: bool = False

    @classmethod
    def of(cls, origin: Origin, where: str, error: BaseException, remedy: str) -> LoadError:
        """From something that was raised; its traceback is printed where that is wanted."""
        show(error)
        return cls(origin, where, cause_of(error), remedy, error)

    @property
    def distribution(self) -> str:
        return self.origin.distribution

    @property
    def heading(self) -> str:
        """What it means to the user, for the beginning of a line."""
        return "note" if self.usable else "plugin not loaded"

    def __str__(self) -> str:
        return f"{self.origin}: {self.where}: {self.cause}. {self.remedy}"


def remedy_for(error: BaseException, distribution: str) -> str:
    """What to do about a distribution whose module raises when it is imported."""
    remove = f"remove it (pip uninstall {distribution}), or report it to its authors"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"Install what it needs, {error.name.partition('.')[0]}, or {remove}."
    if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "medrobust":
        return f"It was written for another version of medrobust: update it (pip install -U {distribution}), {remove}."
    return f"Reinstall or {remove}."


def cause_of(error: BaseException) -> str:
    """One line: the error and the line of the plugin's own code it came from."""
    text = f"{type(error).__name__}: {error}" if not isinstance(error, PluginError) else str(error)
    line = "" if isinstance(error, PluginError) else own_line(error)
    return " ".join(text.split()) + (f" ({line})" if line else "")
