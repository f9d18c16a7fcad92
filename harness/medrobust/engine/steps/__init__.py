"""The kinds of steps that make a plan's cells. A kind is one class: what it needs, makes, costs, and how it does it."""

from .base import History, Step, StepReport, run_step
from .craft import CraftStep
from .defense import DefenseStep
from .detect import DetectStep
from .fit import FitStep
from .part import PartStep
from .probe import ProbeStep
from .universal import UniversalStep

__all__ = [
    "CraftStep",
    "DefenseStep",
    "DetectStep",
    "FitStep",
    "History",
    "PartStep",
    "ProbeStep",
    "Step",
    "StepReport",
    "UniversalStep",
    "run_step",
]
