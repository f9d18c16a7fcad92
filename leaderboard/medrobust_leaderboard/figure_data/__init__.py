"""The figures of a paper, from a plan and a store.

`combinations` has the labels of panels, series, rows and columns; `numbers` what curves, bars and matrices show;
`tiles` the images; `drawing` draws what has changed.
"""

from .combinations import label_combinations
from .drawing import DrawnFigure, draw_figures
from .numbers import bar_panels, confusion_matrices, curve_panels
from .tiles import image_tiles

__all__ = [
    "DrawnFigure",
    "bar_panels",
    "confusion_matrices",
    "curve_panels",
    "draw_figures",
    "image_tiles",
    "label_combinations",
]
