"""More images, and more records, than memory holds: they stream from disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

RUN = Path(__file__).with_name("streaming_run.py")
COUNT, LIMIT = 2000, 700
"""Images, 1,500 MiB in float32, and MiB of data that the process may take beyond a small run: measured need 350."""

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and measures memory as Linux does")


def crafted(folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(RUN), str(folder), str(COUNT), str(LIMIT), *more]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


@pytest.mark.long
def test_crafting_images_stream_from_disk(tmp_path: Path) -> None:
    streamed = crafted(tmp_path)
    assert streamed.returncode == 0, streamed.stderr[-2000:]
    assert "2000 images, 1500 MiB as float32" in streamed.stdout
    # The limit is one: all images at once are refused under it.
    whole = crafted(tmp_path, "whole")
    assert whole.returncode != 0
    assert "Unable to allocate" in whole.stderr or "can't allocate memory" in whole.stderr


@pytest.mark.long
def test_evaluated_images_stream_from_disk(tmp_path: Path) -> None:
    """They are decoded into the cache, pass through the model and are attacked in batches."""
    streamed = crafted(tmp_path, "evaluate")
    assert streamed.returncode == 0, streamed.stderr[-2000:]
    assert "2000 images, 1500 MiB as float32" in streamed.stdout


@pytest.mark.long
def test_records_of_very_many_images_are_read_one_by_one(tmp_path: Path) -> None:
    def read(*more: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(RUN.with_name("reading_run.py")), str(tmp_path), "80", "100000", "400", *more]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    one_by_one = read()
    assert one_by_one.returncode == 0, one_by_one.stderr[-2000:]
    assert "80 records of 100000 images" in one_by_one.stdout
    # The limit is one: all records at once are refused under it.
    whole = read("whole")
    assert whole.returncode != 0
    assert "Unable to allocate" in whole.stderr or "malloc" in whole.stderr or "MemoryError" in whole.stderr
