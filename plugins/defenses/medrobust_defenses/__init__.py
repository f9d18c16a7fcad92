"""Bundled defenses."""

from __future__ import annotations

from medrobust import Defense, hookimpl

from .squeezing import BitDepth

__all__ = ["BitDepth", "medrobust_defenses"]


@hookimpl
def medrobust_defenses() -> list[type[Defense]]:
    return [BitDepth]
