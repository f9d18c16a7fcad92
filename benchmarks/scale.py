"""Planning 100,000 cells, and tables over 10,000 cells and 10 million sample rows: time and peak memory.

    uv run python benchmarks/scale.py [plan|table|leaderboard]

Each part is measured in a process of its own. The store of the table is written first (a minute or two, about 300 MB in
the temporary folder) and kept for the next time.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from medrobust.api import Session, Store, parse_grid
from medrobust.engine.requests import write_request
from medrobust.grid.columns import columns
from medrobust.results.samples import Samples
from medrobust.results.store import StepRecord

CELLS_WANTED, IMAGES = 10_000, 1_000
BARS = {"plan": (5.0, 500), "table": (30.0, 2000), "leaderboard": (30.0, 2000)}
"""Seconds, and MB (10^6 bytes) above what the process holds once the program and its plugins are imported."""

GRID: dict[str, Any] = {
    "grid": [
        {
            "dataset": [{"name": "phantom-cxr", "size": 32}, {"name": "phantom-derm", "size": 32}],
            "model": [
                {"name": "small-cnn", "width": [4, 8, 12, 16, 20]},
                {"name": "small-resnet", "width": [4, 8, 12, 16, 20]},
            ],
            "attack": [
                {"name": "pgd", "steps": [1, 2, 5, 10, 20, 40, 50, 100], "step_size": ["eps/10", "eps/4"]},
                {"name": "bim", "steps": [5, 10, 20, 40]},
                {"name": "cw-linf", "steps": [5, 10, 20, 40, 80]},
            ],
            "budget": [f"linf:{i}/255" for i in range(1, 21)],
            "seed": list(range(10)),
        }
    ]
}
"""2 data sets, 10 models, 25 attacks, 20 budgets, 10 seeds: 100,000 cells."""


def plan() -> dict[str, Any]:
    """Plan the grid, group it into steps, and say how many there are."""
    with tempfile.TemporaryDirectory() as folder:
        session = Session(Path(folder) / "store", device="cpu", workers=1)
        held, begun = memory("VmRSS"), time.perf_counter()
        grid = parse_grid(GRID, session.registry)
        made = session.plan(grid)
        cells = len(made.cells)
        steps = len(session.steps(made))
        return {"seconds": time.perf_counter() - begun, "held": held, "cells": cells, "steps": steps}


def table(store: Path) -> dict[str, Any]:
    """Robust accuracy of every cell of the store, with its interval, averaged over seeds."""
    from medrobust_leaderboard.selection import Numbers, rows_of

    session = Session(store, device="cpu", workers=1)
    held, begun = memory("VmRSS"), time.perf_counter()
    made = session.plan(_small_grid(session))
    selected = [s for s in rows_of(made) if s.cell]
    numbers = Numbers(session.store, [(s.cell, "accuracy") for s in selected if s.cell])
    groups: dict[tuple[str, ...], list[Any]] = {}
    for each in selected:
        groups.setdefault(tuple(each.row.get(a, "") for a in ("dataset", "model", "attack", "budget")), []).append(each)
    values = [numbers.combined(cells, "accuracy") for cells in groups.values()]
    assert all(v is not None for v in values)
    seconds = time.perf_counter() - begun
    rows = len(selected) * IMAGES
    return {"seconds": seconds, "held": held, "cells": len(selected), "values": len(values), "rows": rows}


def leaderboard(store: Path) -> dict[str, Any]:
    """The tables of the command `leaderboard`: what is current of the store, by what was asked for."""
    from medrobust_leaderboard.store_results import read_results
    from medrobust_leaderboard.store_tables import tables_of

    session = Session(store, device="cpu", workers=1)
    held, begun = memory("VmRSS"), time.perf_counter()
    results = read_results(session.store)
    tables = tables_of(results)
    seconds = time.perf_counter() - begun
    cells = sum(len(n.results) for n in results.numbers)
    values = sum(n.shown.value is not None for n in results.numbers)
    assert cells >= CELLS_WANTED
    assert values == len(results.numbers)
    return {"seconds": seconds, "held": held, "cells": cells, "values": values, "tables": len(tables)}


def _small_grid(session: Session) -> Any:
    """10,000 cells of the same kind."""
    block = {**GRID["grid"][0], "dataset": GRID["grid"][0]["dataset"][:1], "budget": ["linf:1/255", "linf:2/255"]}
    block["model"] = [{"name": "small-cnn", "width": list(range(4, 24))}]
    return parse_grid({"grid": [block]}, session.registry)


def build_store(path: Path) -> None:
    """Records of 10,000 cells of 1,000 images, as runs would have left them."""
    session = Session(path, device="cpu", workers=1)
    store = session.store.create()
    asked = session.plan(_small_grid(session))
    write_request(asked, store)
    cells = list(asked.cells.values())
    rng = np.random.default_rng(0)
    ids = np.array([f"test-{i:05d}" for i in range(IMAGES)])
    labels = rng.integers(0, 4, IMAGES)
    clean: set[str] = set()
    for start in range(0, len(cells), 500):
        rows, samples = [], {}
        for cell in cells[start : start + 500]:
            base = cell.clean.id
            for each in (cell.clean, cell):
                identity = each.id
                if identity in clean:
                    continue
                if identity == base:
                    clean.add(base)
                setting = each.setting
                logits = rng.normal(size=(IMAGES, 4)).astype(np.float32)
                norm = np.full(IMAGES, 0.01, dtype=np.float32)
                samples[identity] = Samples(ids, None, labels, logits, norm, norm)
                rows.append(
                    {**columns(each), "cell": identity, "status": "ok", "reason": "", "images": IMAGES,
                     "task": "multiclass", "classes": list("abcd"), "norm": setting and setting.budget.norm,
                     "eps": setting and float(setting.budget.eps.value), "control": False, "part": "part",
                     "seconds": 1.0, "forward_passes": 100 * IMAGES, "backward_passes": 100 * IMAGES,
                     "versions": '{"torch": "2"}', "hardware": "a machine", "created": datetime.now(UTC)}
                )  # fmt: skip
        store.write_step(StepRecord(f"step-{start:05d}", rows, samples))


def measured(part: str, store: Path) -> dict[str, Any]:
    """Run one part in a process of its own."""
    command = [sys.executable, __file__, "--child", part, "--store", str(store)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise RuntimeError(f"{part}: {answer.stderr.strip()[-2000:]}")
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def memory(key: str) -> float:
    """Memory of this process in 10^6 bytes: `VmRSS` now, `VmHWM` at its largest."""
    match = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert match is not None
    return int(match[1]) * 1024 / 1e6


def main() -> int:
    """Measure and print; 0 if every bar is reached."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("part", nargs="*", choices=[[], *BARS], help="plan, table, leaderboard (default: all)")
    parser.add_argument("--store", type=Path, default=Path(tempfile.gettempdir()) / "medrobust-scale-store")
    parser.add_argument("--child", choices=BARS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "plan": plan,
        "table": lambda: table(options.store),
        "leaderboard": lambda: leaderboard(options.store),
    }
    if options.child:
        torch.set_num_threads(1)
        print(json.dumps({**parts[options.child](), "peak": memory("VmHWM")}))
        return 0
    console, missed = Console(), 0
    out = Table("part", "what", "seconds", "MB", "MB with libraries", "bar")
    for part in options.part or BARS:
        if part != "plan" and not Store(options.store).exists:
            console.print(f"writing {CELLS_WANTED:,} cells to {options.store}", style="dim")
            build_store(options.store)
        found = measured(part, options.store)
        seconds, megabytes = BARS[part]
        added = found["peak"] - found["held"]
        reached = found["seconds"] <= seconds and added <= megabytes
        missed += not reached
        what = ", ".join(f"{v:,} {k}" for k, v in found.items() if k not in ("seconds", "held", "peak"))
        bar = f"{'pass' if reached else 'FAIL'} (<= {seconds:g} s, {megabytes} MB)"
        out.add_row(part, what, f"{found['seconds']:.1f}", f"{added:.0f}", f"{found['peak']:.0f}", bar)
    console.print(out)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
