"""A step on its way to a worker on any machine, with what the worker must have: the same code, plugins and store.

Local plugin files travel through the store, which all workers must reach anyhow, and are loaded from a folder of the
worker's own. Installed plugins do not travel: of each class in a step, the worker compares the source with the
driver's, and says what is missing.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import medrobust

from ...contracts import Plugin
from ...errors import ExecutorError, LostError, MedrobustError
from ...plugins.libraries import libraries_of, library_version
from ...plugins.registered import RegisteredPlugin
from ...plugins.shipping import load_only, pack, unpack
from ...plugins.source import source_hash
from ...results.files import content_hash, hash_in
from ...results.objects import objects_at
from ..context import RunContext, checked_data_root, checked_device, default_device, versions
from ..steps import Step

FOLDER = "workers"
"""Where a store keeps what a run hands to its workers, until it ends."""
ANY_DEVICE = "auto"
"""The device of workers that each use CUDA if they have it."""
COMPARED = ("python", "torch", "numpy")
"""Versions that make the last bits of logits."""


@dataclass(frozen=True)
class Terms:
    """What a run asks of its workers.

    Attributes:
        shipment: the object in the store with the local plugin files, under a name that is this run's own.
        files: the plugin files in it.
        core: a hash of the code of medrobust itself.
        context: places and hardware, as the driver sees them.
        topic: under which progress is told.
    """

    shipment: str
    files: tuple[str, ...]
    core: str
    context: RunContext
    topic: str


@dataclass(frozen=True)
class Parcel:
    """A step to be run on a worker.

    Attributes:
        step: pickled.
        sources: of each class of a plugin in it, `module:name`: what it is called, and its source.
        terms: of the run.
    """

    step: bytes
    sources: Mapping[str, tuple[str, str]]
    terms: Terms


class UnfitWorkerError(ExecutorError):
    """A worker cannot run the steps of a run: something is missing there, or another version."""


# On the driver -------------------------------------------------------------------------------------------------------


@contextmanager
def terms_of(context: RunContext, device: str = "") -> Iterator[Terms]:
    """The terms of a run, with its plugin files in the store as long as the context lasts.

    Args:
        context: of the driver.
        device: torch device of the workers; that of the context if empty, `auto` for what each of them has.
    """
    archive, files = pack(context.plugin_files)
    topic = f"medrobust-{secrets.token_hex(8)}"
    name = f"{FOLDER}/{topic}.{content_hash(archive)}.zip"
    objects = objects_at(context.store)
    objects.write(name, archive)
    try:
        yield Terms(name, files, core_hash(), replace(context, device=device or context.device), topic)
    finally:
        objects.remove(name)


def parcel_of(step: Step, terms: Terms) -> Parcel:
    """Pack a step, with the source of every plugin in it."""
    packed = io.BytesIO()
    pickler = _Pickler(packed, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dump(step)
    return Parcel(packed.getvalue(), pickler.sources(), terms)


class _Pickler(pickle.Pickler):
    """Notes the classes of plugins that it meets, and what they are called."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._classes: dict[type[Plugin], str] = {}

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, RegisteredPlugin):
            self._classes[obj.plugin] = f"{obj.kind} '{obj.qualified}' ({obj.distribution} {obj.version})"
        elif isinstance(obj, type) and issubclass(obj, Plugin):
            self._classes.setdefault(obj, f"{obj.__module__}.{obj.__qualname__}")
        return NotImplemented

    def sources(self) -> dict[str, tuple[str, str]]:
        return {f"{c.__module__}:{c.__qualname__}": (what, _source(c)) for c, what in self._classes.items()}


def _source(plugin: type[Plugin]) -> str:
    """The source of a plugin and the versions of the libraries it names, as identities have them."""
    libraries = (f"{name} {library_version(name)}" for name in libraries_of(plugin))
    return ", ".join([source_hash(plugin), *libraries])


@cache
def core_hash() -> str:
    """A hash of the code of medrobust itself: steps are objects of it, and travel."""
    folder = Path(medrobust.__file__).parent
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(f"{file.relative_to(folder).as_posix()}\0".encode() + file.read_bytes())
    return digest.hexdigest()[:16]


# On a worker ---------------------------------------------------------------------------------------------------------

_turn = threading.RLock()
"""Modules belong to a process, so its threads take turns at loading plugins."""
_received: dict[str, tempfile.TemporaryDirectory[str]] = {}
"""The folders of plugin files that this process has got, by the content of their archive."""
_seen: set[str] = set()
"""The shipments that this process found in their stores."""


def settle(terms: Terms) -> RunContext:
    """Take on the terms of a run: its plugin files are loaded; its context, with the places of this machine.

    Raises:
        UnfitWorkerError: naming the worker and what is wrong there.
    """
    with _turn:
        if terms.core != core_hash():
            version = versions().get("medrobust", "")
            raise _unfit(f"medrobust {version} there has other code than here; install the same version on both")
        folder = _folder(terms)
        files = tuple(folder / name for name in terms.files)
        try:
            return _here(terms.context, load_only(files, terms.context.plugin_files))
        except MedrobustError as error:
            raise _unfit(str(error)) from error


def unpacked(parcel: Parcel) -> tuple[Step, RunContext]:
    """The step in a parcel, and the context it has on this machine.

    Raises:
        UnfitWorkerError: naming the worker and each plugin that is missing there or has another source.
    """
    with _turn:
        context = settle(parcel.terms)
        if missing := [text for name, known in parcel.sources.items() if (text := _difference(name, *known))]:
            raise _unfit("; ".join(missing))
        return pickle.loads(parcel.step), context  # from the driver, over a connection that carries pickles anyway


def about(terms: Terms) -> dict[str, str]:
    """Whether this worker can run the steps of a run, asked before the first; versions that decide last bits.

    Raises:
        UnfitWorkerError: if it cannot.
    """
    settle(terms)
    return {name: version for name, version in versions().items() if name in COMPARED}


def _folder(terms: Terms) -> Path:
    """The folder with the plugin files of a run; that they are found shows that this machine has the same store."""
    content = hash_in(terms.shipment)
    if terms.shipment not in _seen:
        try:
            archive = objects_at(terms.context.store).read(terms.shipment)
        except LostError:
            raise _unfit(
                f"the store {terms.context.store} is not there, or is another one than here; choose a --store that all "
                "machines reach under this name: a folder that they share, or a URL"
            ) from None
        except MedrobustError as error:
            raise _unfit(str(error)) from error
        if content_hash(archive) != content:
            raise _unfit(f"{terms.context.store}/{terms.shipment} is damaged")
        _seen.add(terms.shipment)
        if content not in _received:
            _received[content] = tempfile.TemporaryDirectory(prefix="medrobust-plugins-")
            unpack(archive, Path(_received[content].name))
    return Path(_received[content].name)


def _here(context: RunContext, files: tuple[Path, ...]) -> RunContext:
    """A context with the data and the cache of this machine, where it has places of its own."""
    root = context.data_root
    if root is not None and not root.is_dir():
        # Where this machine has no data either, the cells that need them say so.
        root = checked_data_root(os.environ.get("MEDROBUST_DATA") or None, "MEDROBUST_DATA")
    cache = Path(place).expanduser() if (place := os.environ.get("MEDROBUST_CACHE")) else context.cache
    device = default_device() if context.device == ANY_DEVICE else checked_device(context.device)
    return replace(context, data_root=root, cache=cache, device=device, plugin_files=files)


def _difference(name: str, what: str, source: str) -> str:
    """What is wrong with a plugin on this machine; empty if nothing is."""
    module, _, path = name.partition(":")
    try:
        found: Any = import_module(module)
        for part in path.split("."):
            found = getattr(found, part)
        here = _source(found)
    except (Exception, SystemExit) as error:  # noqa: BLE001 - a stranger's import may raise anything
        why = f"{type(error).__name__}: {error}"
        return f"{what} is not there ({why}); install it on the workers, or give its file with --plugin"
    other = f"{what} has another source there ({here}) than here ({source}); install the same versions on both"
    return "" if here == source else other


def _unfit(why: str) -> UnfitWorkerError:
    return UnfitWorkerError(f"worker on {socket.gethostname()} (process {os.getpid()}): {why}")
