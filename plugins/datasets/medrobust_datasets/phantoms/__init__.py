"""Procedural phantoms: data sets that need no download."""

from .cxr import PhantomCXR
from .derm import PhantomDerm
from .fundus import PhantomFundus
from .histology import PhantomHistology
from .natural import PhantomNatural
from .oct import PhantomOCT

__all__ = ["PhantomCXR", "PhantomDerm", "PhantomFundus", "PhantomHistology", "PhantomNatural", "PhantomOCT"]
