"""The public names: each is there, and none is imported before it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import medrobust

STUB = Path(medrobust.__file__).with_suffix(".pyi")


def test_every_name_of_the_stub_is_there() -> None:
    tree = ast.parse(STUB.read_text())
    imported = {name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
    (listed,) = (ast.literal_eval(n.value) for n in tree.body if isinstance(n, ast.Assign))
    assert set(listed) == imported
    for name in imported:
        assert getattr(medrobust, name) is not None
    assert imported <= set(dir(medrobust))


def test_a_name_that_is_not_there_is_named() -> None:
    with pytest.raises(AttributeError, match="module 'medrobust' has no attribute 'Nothing'"):
        _ = medrobust.Nothing  # type: ignore[attr-defined]
    with pytest.raises(ImportError, match="cannot import name 'Nothing' from 'medrobust'"):
        from medrobust import Nothing  # type: ignore[attr-defined]  # noqa: F401


def test_importing_the_package_imports_no_torch() -> None:
    code = "import sys, medrobust, medrobust.commands; print('torch' in sys.modules, 'pandas' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False False\n"
