"""Robustness in pytest.

A test that takes a cell runs once for each cell of a grid:

    from medrobust.pytest import parametrize

    @parametrize("grid.toml")
    def test_robust(cell):
        assert cell.robust_accuracy.lower >= 0.5
        assert cell.evidence.sound
"""

from .cell import RobustCell
from .marking import Stochastic, parametrize
from .measured import Evidence, Measured

__all__ = ["Evidence", "Measured", "RobustCell", "Stochastic", "parametrize"]
