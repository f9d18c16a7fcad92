"""Figures in one style: each function takes plain data and returns a figure; `save` writes it with its data.

Nothing here touches pyplot or its global state.
"""

from .bars import BarPanel, BarSeries, bars, bars_data
from .confusion import ConfusionMatrix, confusion, confusion_data
from .curves import CurvePanel, Line, Series, curves, curves_data
from .front import FrontPanel, FrontPoint, fronts, fronts_data
from .images import Tile, Triptych, images, images_data, triptych, triptych_tiles
from .saving import SavedFigure, save
from .scatter import Places, ScatterPanel, scatter, scatter_data
from .surfaces import Surface, surfaces, surfaces_data

__all__ = [
    "BarPanel",
    "BarSeries",
    "ConfusionMatrix",
    "CurvePanel",
    "FrontPanel",
    "FrontPoint",
    "Line",
    "Places",
    "SavedFigure",
    "ScatterPanel",
    "Series",
    "Surface",
    "Tile",
    "Triptych",
    "bars",
    "bars_data",
    "confusion",
    "confusion_data",
    "curves",
    "curves_data",
    "fronts",
    "fronts_data",
    "images",
    "images_data",
    "save",
    "scatter",
    "scatter_data",
    "surfaces",
    "surfaces_data",
    "triptych",
    "triptych_tiles",
]
