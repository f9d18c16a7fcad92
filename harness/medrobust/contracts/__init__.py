"""The contracts: everything a plugin author implements or is given."""

from .adapted import adapted, arguments
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
    batch_of,
    batch_sizes,
    parts_of,
    uses_global_rng,
)
from .axes import AXES, TRAINED
from .budget import Budget, BudgetSpec, Length, Norm
from .classifier import PENULTIMATE, Classifier, Gradient, LayerGradient, LayerLoss, Loss, Task
from .cost import Passes
from .dataset import SPLITS, DataInfo, Dataset, DataSource, ImageData, Members, fingerprint_files
from .decision import decide, decisions, predictions
from .defense import (
    Defense,
    Fit,
    Preprocessing,
    RandomPreprocessing,
    Training,
    TrainingDefense,
    TransformImages,
)
from .detector import Detection, Detector, DetectorAttack, Features, Learning, State, TensorScore
from .goal import Goal, Targeted, Untargeted, cross_entropy
from .model import PUBLISHED, Model, Pretraining, Recipe, Shape
from .origin import Origin, RemoteFile
from .pixels import Chosen, CraftingImages, OnDemand, Pixels
from .plugin import Plugin, Preset, cumulative, cumulative_field
from .precision import Arithmetic, Precision
from .probe import Probe
from .provider import Provider
from .ranges import Count, NonNegative, Positive, Share, Whole
from .reference import Reference
from .rng import SampleRNG

__all__ = [
    "AXES",
    "PENULTIMATE",
    "PUBLISHED",
    "SPLITS",
    "TRAINED",
    "AnyAttack",
    "Arithmetic",
    "Attack",
    "Budget",
    "BudgetSpec",
    "Chosen",
    "Classifier",
    "Count",
    "CraftingImages",
    "DataInfo",
    "DataSource",
    "Dataset",
    "Defense",
    "DerivedAttack",
    "Detection",
    "Detector",
    "DetectorAttack",
    "Ensemble",
    "Features",
    "Fit",
    "Goal",
    "Gradient",
    "ImageData",
    "IterativeAttack",
    "IterativeUniversalAttack",
    "Knowledge",
    "LayerGradient",
    "LayerLoss",
    "Learning",
    "Length",
    "Loss",
    "Members",
    "Model",
    "NonNegative",
    "Norm",
    "OnDemand",
    "Origin",
    "Passes",
    "Pixels",
    "Plugin",
    "Positive",
    "Precision",
    "Preprocessing",
    "Preset",
    "Pretraining",
    "Probe",
    "Provider",
    "RandomPreprocessing",
    "Recipe",
    "Reference",
    "RemoteFile",
    "SampleRNG",
    "Shape",
    "Share",
    "State",
    "Targeted",
    "Task",
    "TensorScore",
    "ThreatModel",
    "Training",
    "TrainingDefense",
    "TransformImages",
    "UniversalAttack",
    "Untargeted",
    "Whole",
    "adapted",
    "arguments",
    "batch_of",
    "batch_sizes",
    "cross_entropy",
    "cumulative",
    "cumulative_field",
    "decide",
    "decisions",
    "fingerprint_files",
    "parts_of",
    "predictions",
    "uses_global_rng",
]
