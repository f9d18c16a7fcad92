"""The axes of results: grids multiply them, stores have a column for each."""

from __future__ import annotations

AXES = (
    "dataset",
    "train_set",
    "model",
    "defense",
    "attack",
    "goal",
    "budget",
    "precision",
    "surrogate",
    "craft_on",
    "evaluate_on",
    "detector",
    "seed",
)
"""The axes of a grid, in the order in which they multiply."""

TRAINED = ("dataset", "train_set", "model", "architecture", "init", "defense", "seed")
"""What is told of a trained model: of a target as it stands here, of a surrogate as `surrogate_NAME`."""
