"""medrobust: a benchmark harness for the adversarial robustness of medical image classifiers.

The names for authors of plugins are listed in `__init__.pyi`, beside this file; what plans and runs grids and reads
results is `medrobust.api`.
"""

from .lazy import attach

__version__ = "0.1.0"
__getattr__, __dir__ = attach(__name__, __file__)
