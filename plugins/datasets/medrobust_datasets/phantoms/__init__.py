"""Procedural phantoms: data sets that need no download."""

from .cxr import PhantomCXR
from .derm import PhantomDerm
from .fundus import PhantomFundus

__all__ = ["PhantomCXR", "PhantomDerm", "PhantomFundus"]
