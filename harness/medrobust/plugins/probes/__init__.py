"""Probes of the core: what the figures of papers show beyond logits.

`examples` keeps images, `saliency` and `loss-surface` follow gradients, `feature-maps` and `grad-cam` look at a layer,
`t-sne` at deep features.
"""

from __future__ import annotations

from ...contracts import Probe
from .attention import GradCAM
from .embedding import TSNE
from .examples import Examples
from .feature_maps import FeatureMaps
from .loss_surface import LossSurface
from .saliency import Saliency

PROBES: tuple[type[Probe], ...] = (Examples, FeatureMaps, GradCAM, LossSurface, Saliency, TSNE)

__all__ = ["PROBES", "TSNE", "Examples", "FeatureMaps", "GradCAM", "LossSurface", "Saliency"]
