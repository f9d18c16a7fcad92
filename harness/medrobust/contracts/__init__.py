"""The contracts: everything a plugin author implements or is given."""

from .attack import (
    AnyAttack,
    Attack,
    DerivedAttack,
    Ensemble,
    IterativeAttack,
    IterativeUniversalAttack,
    Knowledge,
    ThreatModel,
    UniversalAttack,
)
from .budget import Budget, BudgetSpec, Length, Norm
from .classifier import Classifier, Gradient, Loss, Task
from .dataset import SPLITS, DataInfo, Dataset, DataSource, ImageData, fingerprint_files
from .defense import Defense, Detector, Fit, Hardening, Perturb, Preprocessing, Training
from .draws import Draws
from .goal import Goal, Targeted, Untargeted, cross_entropy, decide, decisions, predictions
from .model import Model, Pretraining, Recipe, Shape
from .plugin import Plugin, Preset, cumulative, cumulative_field
from .probe import Probe

__all__ = [
    "SPLITS",
    "AnyAttack",
    "Attack",
    "Budget",
    "BudgetSpec",
    "Classifier",
    "DataInfo",
    "DataSource",
    "Dataset",
    "Defense",
    "DerivedAttack",
    "Detector",
    "Draws",
    "Ensemble",
    "Fit",
    "Goal",
    "Gradient",
    "Hardening",
    "ImageData",
    "IterativeAttack",
    "IterativeUniversalAttack",
    "Knowledge",
    "Length",
    "Loss",
    "Model",
    "Norm",
    "Perturb",
    "Plugin",
    "Preprocessing",
    "Preset",
    "Pretraining",
    "Probe",
    "Recipe",
    "Shape",
    "Targeted",
    "Task",
    "ThreatModel",
    "Training",
    "UniversalAttack",
    "Untargeted",
    "cross_entropy",
    "cumulative",
    "cumulative_field",
    "decide",
    "decisions",
    "fingerprint_files",
    "predictions",
]
