"""Freed memory stays with the process, and so do kernels: nothing is fetched or made again for every layer."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from medrobust.engine.running.process import KERNELS

ROUND = """
import sys, torch
from pathlib import Path
from medrobust.engine.running.process import keep_freed_memory
def held():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
if sys.argv[1] == "keep" and not keep_freed_memory():
    raise SystemExit("no glibc")
before = held()
outputs = [torch.ones(2**21) for _ in range(10)]
del outputs
print(held() - before)
"""
OUTPUTS = 10 * 4 * 2**21


@pytest.mark.long
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mallopt is glibc's")
def test_memory_of_freed_outputs_stays() -> None:
    held = {}
    for how in ("keep", "leave"):
        command = [sys.executable, "-c", ROUND, how]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, env={})
        if "no glibc" in answer.stderr:
            pytest.skip("the C library is not glibc")
        held[how] = int(answer.stdout)
    assert held["keep"] > 0.9 * OUTPUTS
    assert held["leave"] < 0.2 * OUTPUTS


@pytest.mark.long
def test_kernels_of_many_batch_sizes_are_kept_and_a_users_own_setting_is_left_alone() -> None:
    shown = (
        "import os; from medrobust.engine.running.process import KERNELS, set_up; set_up(); print(os.environ[KERNELS])"
    )
    for given, expected in ((None, "16384"), ("7", "7")):
        environment = {k: v for k, v in os.environ.items() if k != KERNELS} | ({KERNELS: given} if given else {})
        found = subprocess.run(
            [sys.executable, "-c", shown], capture_output=True, text=True, env=environment, check=True
        )
        assert found.stdout.strip() == expected
