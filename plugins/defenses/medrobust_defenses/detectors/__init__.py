"""Bundled detectors of adversarial images."""

from .deep_features import DeepFeatures
from .density import KernelDensity
from .intrinsic_dimension import LocalIntrinsicDimension
from .quantised_features import QuantisedFeatures

__all__ = ["DeepFeatures", "KernelDensity", "LocalIntrinsicDimension", "QuantisedFeatures"]
