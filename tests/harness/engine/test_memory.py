"""Freed memory stays with the process, so that the next layer's output costs no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

ROUND = """
import sys, torch
from pathlib import Path
from medrobust.engine.memory import keep_freed_memory
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
