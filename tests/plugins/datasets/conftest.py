"""Image files for the tests of the file-based data sets."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medrobust import DataSource

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write an image of a few pixels below the test's folder; its content follows from its name."""

    def write(name: str, *, size: tuple[int, int] = (12, 10), mode: str = "L", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], 3)
        pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, shape, dtype=np.uint8)
        Image.fromarray(pixels).save(path, **options)
        return path

    return write


@pytest.fixture
def source(tmp_path: Path) -> DataSource:
    """A data root in the test's own folder."""
    return DataSource(tmp_path)


@pytest.fixture(scope="session")
def real() -> DataSource:
    """The real images of MEDROBUST_DATA."""
    root = os.environ.get("MEDROBUST_DATA")
    if not root:
        pytest.skip("MEDROBUST_DATA is not set")
    return DataSource(Path(root).resolve())
