"""medrobust: a benchmark harness for the adversarial robustness of medical image classifiers.

This page lists the public names. Plugins and the leaderboard use these and nothing else of the package.
"""

from .contracts import (
    SPLITS,
    AnyAttack,
    Attack,
    Budget,
    BudgetSpec,
    Classifier,
    DataInfo,
    Dataset,
    DataSource,
    Defense,
    DerivedAttack,
    Detector,
    Draws,
    Goal,
    Gradient,
    Hardening,
    ImageData,
    IterativeAttack,
    Length,
    Loss,
    Model,
    Norm,
    Plugin,
    Preprocessing,
    Preset,
    Probe,
    Recipe,
    Shape,
    Targeted,
    Task,
    ThreatModel,
    Training,
    UniversalAttack,
    Untargeted,
    cross_entropy,
    cumulative,
    decide,
    decisions,
    fingerprint_files,
    predictions,
)
from .errors import DataError, DataUnavailable, GridError, MedrobustError, ModelError, PluginError, StoreError
from .plugins.hookspecs import hookimpl

__version__ = "0.1.0"
