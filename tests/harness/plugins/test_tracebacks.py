"""The line of somebody's own code that led to an error, wherever the error was raised."""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from types import ModuleType

import pytest
import torch

from medrobust import Length, MedrobustError
from medrobust.plugins.tracebacks import own_line, show

LINES = """
    import torch

    def inside_torch():
        return torch.nn.functional.linear(torch.ones(2, 2), torch.ones(3, 3))

    def through_another(call):
        return call()
"""
PLUGIN = """
    from dataclasses import dataclass
    from typing import ClassVar
    from medrobust import Probe
    import json

    @dataclass(frozen=True)
    class Installed(Probe):
        name: ClassVar[str] = "installed"
        def measure(self, classifier, images, adversarial):
            return json.loads("{")
"""


def load(file: Path, code: str) -> ModuleType:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(dedent(code))
    specification = importlib.util.spec_from_file_location(file.stem, file)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[file.stem] = module
    specification.loader.exec_module(module)
    return module


def raised(call: Callable[[], object]) -> BaseException:
    with pytest.raises(Exception) as caught:
        call()
    return caught.value


def test_an_error_within_torch_is_told_by_the_line_that_called_it(tmp_path: Path) -> None:
    module = load(tmp_path / "mine.py", LINES)
    assert own_line(raised(module.inside_torch)) == "mine.py:5"


def test_the_innermost_own_line_counts(tmp_path: Path) -> None:
    outer, inner = load(tmp_path / "outer.py", LINES), load(tmp_path / "inner.py", LINES)
    assert own_line(raised(lambda: outer.through_another(inner.inside_torch))) == "inner.py:5"


def test_lines_of_medrobust_are_passed_over() -> None:
    error = raised(lambda: Length.parse("nonsense"))
    assert own_line(error).startswith("test_tracebacks.py:")


def test_an_installed_plugin_stands_among_the_libraries_and_is_meant(tmp_path: Path) -> None:
    module = load(tmp_path / "site-packages" / "installed_plugin.py", PLUGIN)
    error = raised(lambda: module.Installed().measure(None, None, None))
    assert own_line(error) == "installed_plugin.py:11"
    other = load(tmp_path / "site-packages" / "some_library.py", LINES)
    assert own_line(raised(other.inside_torch)).startswith("test_tracebacks.py:")


def test_where_nothing_is_own_the_last_line_is_told() -> None:
    error = raised(lambda: json.loads("{"))
    within = error.__traceback__
    while within is not None and "json" not in within.tb_frame.f_code.co_filename:
        within = within.tb_next
    assert own_line(error.with_traceback(within)).startswith("decoder.py:")
    assert own_line(ValueError("never raised")) == ""


def test_a_traceback_is_printed_only_where_it_is_wanted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    error = raised(lambda: torch.ones(2) @ torch.ones(3))
    for value, wanted in (("", False), ("0", False), ("1", True)):
        monkeypatch.setenv("MEDROBUST_DEBUG", value)
        show(error)
        assert ("Traceback (most recent call last)" in capsys.readouterr().err) is wanted
    show(MedrobustError("never raised"))
    assert capsys.readouterr().err == "medrobust.errors.MedrobustError: never raised\n"
