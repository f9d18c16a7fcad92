"""Plugins that break one rule each, by kind."""

from .attacks import Asking, Everywhere, Peeking, Step, Steps, Timid, Undeclared, Wordless
from .datasets import Album, Listed
from .defenses import Filter, Lesson, Tremble, Unequal
from .detectors import Middle
from .models import Network
from .probes import Look

__all__ = [
    "Album",
    "Asking",
    "Everywhere",
    "Filter",
    "Lesson",
    "Listed",
    "Look",
    "Middle",
    "Network",
    "Peeking",
    "Step",
    "Steps",
    "Timid",
    "Tremble",
    "Undeclared",
    "Unequal",
    "Wordless",
]
