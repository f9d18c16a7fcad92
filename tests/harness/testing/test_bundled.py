"""Every bundled plugin keeps every rule of its kind."""

from __future__ import annotations

import pytest

from medrobust import Length
from medrobust.testing import conformance

pytestmark = pytest.mark.long

test_bundled_plugins = conformance(
    "medrobust",
    parameters={
        # On six images, steps of the published length change no decision.
        "uap": {"chunk_size": 1, "step_size": Length.parse("eps")},
        "batched-uap": {"chunk_size": 1, "step_size": Length.parse("eps")},
        "square": {"queries": 40},
        "autoattack": {"steps": 5, "queries": 20},
        **{name: {"path": "fundus-dr"} for name in ("image-folder", "imagenet-folder", "openimages-folder")},
    },
    slack={"rounded": 1 / 255},
)
