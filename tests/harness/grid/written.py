"""Grids of one block, and the attacked cells of their entries."""

from __future__ import annotations

from collections.abc import Mapping

from medrobust.api import Entry

BASE: Mapping[str, str] = {
    "dataset": '"textures"',
    "model": '"tiny-net"',
    "attack": '"sign"',
    "budget": '"linf:4/255"',
}


def text(define: str = "", **axes: str) -> str:
    return define + "\n[[grid]]\n" + "\n".join(f"{k} = {v}" for k, v in (BASE | axes).items() if v)


def attacked(entries: list[Entry]) -> list[str]:
    return [e.cell.id for e in entries if e.cell is not None and e.cell.attack is not None]
