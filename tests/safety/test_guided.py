"""Readers under inputs that are chosen by the code they reach; `MEDROBUST_FUZZ_SECONDS` says how long, for each."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .test_fuzzed_readers import NAMES

pytest.importorskip("atheris")

SECONDS = os.environ.get("MEDROBUST_FUZZ_SECONDS", "5")
ROOT = Path(__file__).parents[2]
PLANTED = """
import sys
from tests.safety import guided, readers
from tests.safety.fuzzing import Reader
readers.planted = lambda registry, folder: Reader("planted", lambda draw: draw.randrange(200), [None].__getitem__)
guided.main("20", sys.argv[1], "planted")
"""


def guided(*arguments: str) -> tuple[int, str]:
    """Status and output of a fuzzer."""
    command = [sys.executable, *arguments]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.long
def test_readers_end_as_they_should(tmp_path: Path) -> None:
    status, printed = guided("-m", "tests.safety.guided", SECONDS, str(tmp_path), *NAMES)
    assert status == 0, printed[-3000:]
    runs = [int(each) for each in re.findall(r"Done (\d+) runs", printed)]
    assert len(runs) == len(NAMES)
    assert min(runs) > 20
    print(*map("{}: {} inputs".format, NAMES, runs), sep="\n")


@pytest.mark.long
def test_a_planted_fault_is_found(tmp_path: Path) -> None:
    status, printed = guided("-c", PLANTED, str(tmp_path))
    assert status == 1
    assert re.search(r"planted, input [0-9a-f]* raised IndexError", printed)
    assert "planted: ended with status 77" in printed
