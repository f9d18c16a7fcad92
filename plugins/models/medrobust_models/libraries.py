"""Libraries of models that are extras: imported when one of their models is used."""

from __future__ import annotations

import importlib
import warnings
from typing import Any

from medrobust import ModelError


def imported(module: str, extra: str) -> Any:
    """A module of a library; what the library does to the filters of warnings is undone.

    Raises:
        ModelError: if it is not installed, with the command that installs it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module(module)
    except ImportError:
        library = module.partition(".")[0]
        raise ModelError(f"this model needs {library}; install it with: {install(extra)}") from None


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f"uv pip install 'medrobust[{extra}]'"
