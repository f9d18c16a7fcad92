"""medrobust: a benchmark harness for the adversarial robustness of medical image classifiers.

The public names are listed in `__init__.pyi`, beside this file. Plugins and the leaderboard use these and nothing else
of the package. A name is imported when it is first used (SPEC 1 of scientific Python), so that `import medrobust`, and
with it `medrobust --help`, need not wait for torch.
"""

from __future__ import annotations

import ast
import importlib
from functools import cache
from pathlib import Path
from typing import Any

__version__ = "0.1.0"


@cache
def _homes() -> dict[str, str]:
    """The module of each public name, read from the stub."""
    stub = ast.parse(Path(__file__).with_suffix(".pyi").read_text(encoding="utf-8"))
    imports = [node for node in stub.body if isinstance(node, ast.ImportFrom)]
    return {name.name: f".{node.module}" for node in imports for name in node.names}


def __getattr__(name: str) -> Any:
    if name.startswith("__") or name not in _homes():
        raise AttributeError(f"module 'medrobust' has no attribute '{name}'")
    value = getattr(importlib.import_module(_homes()[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_homes()})
