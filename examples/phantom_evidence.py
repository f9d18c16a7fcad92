"""Draw docs/evidence.png, its numbers beside it: how robust a network is by how strongly a phantom shows its classes.

    python examples/phantom_evidence.py STORE [FILE WITHOUT SUFFIX]

Trains a small network on each phantom at each strength of evidence and attacks it at 1/255: about ten minutes on two
cores; what the store has is not computed again. The phantoms have seed 1, the ones of the papers' profiles seed 0, so
that a strength that is chosen here is not tuned on those.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from medrobust.api import Record, Session, Value, measure
from medrobust_leaderboard.figures.curves import CurvePanel, Series, curves, curves_data
from medrobust_leaderboard.figures.saving import save

EVIDENCE = (1.5, 2.0, 2.5, 3.0, 4.0, 6.0, 12.0, 24.0, 48.0)
"""Grey levels of 255."""
PHANTOMS: dict[str, dict[str, Any]] = {
    "Fundus": {"name": "phantom-fundus"},
    "Chest X-rays": {"name": "phantom-cxr"},
    "Skin": {"name": "phantom-derm"},
    "OCT": {"name": "phantom-oct"},
    "Histology": {"name": "phantom-histology"},
}
ATTACKS = {"noise": "Random noise", "fgsm": "FGSM", "bim": "BIM, 40 steps"}
GRID: dict[str, Any] = {
    "define": {"net": {"name": "small-cnn", "recipe": {"epochs": 12, "learning_rate": 5e-3, "batch_size": 32}}},
    "grid": [
        {
            "dataset": [p | {"seed": 1, "evidence": level} for p in PHANTOMS.values() for level in EVIDENCE],
            "model": "@net",
            "attack": ["noise", "fgsm", {"name": "bim", "steps": 40, "step_size": "eps/40"}],
            "goal": "predicted",
            "budget": "linf:1/255",
            "stop": "success",
        }
    ],
}


def main(store: Path, stem: Path) -> None:
    """Compute what the store lacks and draw."""
    session = Session(store)
    plan = session.plan(GRID)
    session.run(plan)
    records: dict[tuple[str, float, str], Record] = {}
    for identity, record in session.store.records(plan.cells):
        cell = plan.cells[identity]
        dataset = cell.part.dataset.plugin
        records[dataset.name, dataset.evidence, cell.attack.plugin.name if cell.attack else "none"] = record
    panels = []
    for title, phantom in PHANTOMS.items():
        clean = [measure("accuracy", records[phantom["name"], level, "none"]) for level in EVIDENCE]
        series = [_series("No attack, all images", clean)]
        for attack, label in ATTACKS.items():
            found = [records[phantom["name"], level, attack] for level in EVIDENCE]
            series.append(_series(label, [measure("accuracy_on_clean_correct", record) for record in found]))
        panels.append(CurvePanel(title=title, series=tuple(series)))
    figure = curves(
        panels, x_label="Evidence (grey levels of 255)", y_label="Accuracy at 1/255 (%)", x_scale="log", columns=3
    )
    Console().print(f"Written to {save(figure, curves_data(panels), stem).png}")


def _series(label: str, values: list[Value]) -> Series:
    return Series(
        label=label,
        x=EVIDENCE,
        y=tuple(v.scalar for v in values),
        low=tuple(v.interval[0] for v in values),
        high=tuple(v.interval[1] for v in values),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else Path(__file__).parents[1] / "docs" / "evidence")
