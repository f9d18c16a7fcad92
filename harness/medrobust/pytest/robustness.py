"""What one process of pytest has: its options, a session on the store, the grids that were collected, the baseline."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pytest

from ..commands.options import DEFAULT_STORE
from ..engine.session import Session
from ..errors import MedrobustError
from .baseline import Baseline
from .family import Family
from .grid_run import GridRun, offer_placeholder

_KEY: Final = pytest.StashKey["Robustness"]()


def robustness_of(config: pytest.Config) -> Robustness:
    """What this process has, made when it is first needed."""
    if _KEY not in config.stash:
        config.stash[_KEY] = Robustness(config)
    return config.stash[_KEY]


class Robustness:
    """Options, session, grids and baseline of one process.

    Args:
        config: of the run.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self._runs: dict[str, GridRun] = {}

    @cached_property
    def session(self) -> Session:
        """A session on the store, with the project's plugin files.

        Raises:
            MedrobustError: if a place or a plugin file does not exist.
        """
        alone = not hasattr(self.config, "workerinput")  # with -n, every worker of pytest-xdist is a process already
        files = tuple(self._root / name for name in self.config.getini("medrobust_plugins"))
        with others_may_warn():
            session = Session(
                self._place("store") or self._root / DEFAULT_STORE,
                files,
                device=self.config.getoption("medrobust_device"),
                workers=self.config.getoption("medrobust_workers") or (None if alone else 1),
            )
        for fault in session.registry.faults:
            warnings.warn(pytest.PytestWarning(f"{fault.heading}: {fault}"), stacklevel=1)
        offer_placeholder(session.registry)
        return session

    @cached_property
    def family(self) -> Family | None:
        """The items that compare with the baseline, if one is named.

        Raises:
            MedrobustError: if it is the store itself.
        """
        path = self._place("baseline")
        if path is None:
            return None
        if path.resolve() == self.session.store.path.resolve():
            raise MedrobustError(f"the baseline is the store itself, {path}: name another directory")
        return Family(Baseline(path))

    @property
    def updates_baseline(self) -> bool:
        """Whether records are written to the baseline, in place of comparing with it."""
        return bool(self.config.getoption("medrobust_update_baseline"))

    def grid(
        self, source: Path | Mapping[str, Any], *, profile: str = "", images: int | None = None, evidence: bool = True
    ) -> GridRun:
        """A grid, planned once; nothing is computed.

        Raises:
            MedrobustError: for a mistake in it.
        """
        profile = profile or self.config.getoption("medrobust_profile")
        images = images or self.config.getoption("medrobust_images")
        key = json.dumps([str(source) if isinstance(source, Path) else source, profile, images, evidence], default=str)
        if key not in self._runs:
            with others_may_warn():
                self._runs[key] = GridRun(self.session, source, profile=profile, images=images, evidence=evidence)
        return self._runs[key]

    @property
    def _root(self) -> Path:
        return self.config.rootpath

    def _place(self, name: str) -> Path | None:
        """A directory: of an option from where pytest was called, of a configuration file from the root."""
        if typed := self.config.getoption(f"medrobust_{name}"):
            return Path(self.config.invocation_params.dir / typed)
        written = self.config.getini(f"medrobust_{name}")
        return self._root / written if written else None


@contextmanager
def others_may_warn() -> Iterator[None]:
    """Warnings of libraries and plugins are shown and end nothing, even where the project makes them errors."""
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        yield
