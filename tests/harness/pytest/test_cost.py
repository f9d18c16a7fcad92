"""What the plugin costs a run that has nothing to do with it, and what two processes make of one store."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust.api import Store

Robust = Callable[..., Path]
MILLISECONDS = 20


def test_the_plugin_is_imported_in_milliseconds() -> None:
    code = "import pytest, medrobust.pytest_plugin"
    costs = []
    for _ in range(3):  # the machine may be busy
        words = [sys.executable, "-X", "importtime", "-c", code]
        told = subprocess.run(words, capture_output=True, text=True, check=True).stderr
        lines = re.findall(r"import time: +(\d+) \| +(\d+) \|( +)(\S+)", told)
        # Of a package, the time of what it imports is in its own.
        costs.append(
            sum(int(total) for _, total, depth, name in lines if name.startswith("medrobust") and depth == " ")
        )
    assert 0 < min(costs) < 1000 * MILLISECONDS


def test_a_run_without_robust_items_imports_neither_torch_nor_pandas(
    pytester: pytest.Pytester, plugin_options: list[str]
) -> None:
    pytester.makepyfile(
        "import sys\nfrom medrobust.pytest import parametrize\n\n"
        "def test_nothing():\n    assert not {'torch', 'pandas', 'numpy', 'medrobust.api'} & sys.modules.keys()\n"
    )
    result = pytester.runpytest_subprocess(*plugin_options, "-p", "no:hypothesispytest", "-p", "no:xdist")
    result.assert_outcomes(passed=1)


@pytest.mark.long
def test_two_processes_compute_no_cell_twice(
    project: pytest.Pytester, robust: Robust, plugin_options: list[str]
) -> None:
    robust('[[expect]]\nbounds = ["robust_accuracy >= 0", "asr <= 1"]\n')
    result = project.runpytest_subprocess(
        *plugin_options, "-n", "2", "-p", "no:hypothesispytest", "--medrobust-store=own", "--medrobust-device=cpu"
    )
    result.assert_outcomes(passed=8)
    store = Store(project.path / "own")
    rows = Counter(store.tables.read("cells", ["cell"])["cell"].to_pylist())
    assert set(rows.values()) == {1}
    assert len(store.tables.read("fits", ["fit"])) == 1
