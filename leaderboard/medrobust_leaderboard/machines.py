"""Where numbers were computed, for the footnotes of tables."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable

import pandas as pd

SHOWN = 4
"""Machines that a footnote names."""


def machines_of(cells: pd.DataFrame) -> dict[str, tuple[str, str]]:
    """Build of torch and device by cell, from the columns `versions` and `hardware` of the table `cells`."""
    builds = {text: json.loads(text).get("torch", "") for text in cells["versions"].dropna().unique()}
    pairs = zip(cells["cell"], cells["versions"], cells["hardware"], strict=True)
    return {cell: (builds.get(versions, ""), hardware or "") for cell, versions, hardware in pairs}


def machine_note(machines: Iterable[tuple[str, str]]) -> str:
    """A footnote where results come from different builds of torch, processors or devices; else empty.

    Args:
        machines: build and device of each cell.
    """
    counts = Counter(machines)
    if len(counts) < 2:
        return ""
    named = [
        f"torch {build or 'unknown'} on {device or 'an unknown device'} ({count} {'cell' if count == 1 else 'cells'})"
        for (build, device), count in counts.most_common(SHOWN)
    ]
    more = f" and {len(counts) - SHOWN} more" if len(counts) > SHOWN else ""
    return f"Computed on {len(counts)} machines: {', '.join(named)}{more}."


def precision_note(precisions: Iterable[str]) -> str:
    """A note where adversarial images were crafted in another precision than float32; else empty."""
    counts = Counter(p for p in precisions if p)
    if not set(counts) - {"float32"}:
        return ""
    named = ", ".join(f"{count} {'cell' if count == 1 else 'cells'} in {p}" for p, count in sorted(counts.items()))
    return f"Not all adversarial images were crafted in float32: {named}."
