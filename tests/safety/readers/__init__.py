"""The readers of what strangers write, each with how its input is made: valid files, and mutations of them."""

from .kept import archive, parquet, submission
from .pixels import image, npz
from .weights import checkpoint, tensors
from .written import budget, grid, table

__all__ = [
    "archive",
    "budget",
    "checkpoint",
    "grid",
    "image",
    "npz",
    "parquet",
    "submission",
    "table",
    "tensors",
]
