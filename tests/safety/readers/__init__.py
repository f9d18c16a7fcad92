"""The readers of what strangers write, each with how its input is made: valid files, and mutations of them."""

from .kept import archive, kept_by_a_run, parquet, submission
from .pixels import image, npz
from .weights import checkpoint, tensors
from .written import budget, grid, table

__all__ = [
    "archive",
    "budget",
    "checkpoint",
    "grid",
    "image",
    "kept_by_a_run",
    "npz",
    "parquet",
    "submission",
    "table",
    "tensors",
]
