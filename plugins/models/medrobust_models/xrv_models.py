"""TorchXRayVision's chest models by the name of their weights, `xrv:WEIGHTS`; TorchXRayVision is an extra."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medrobust import DataSource, Model, ModelError, Preset, Pretraining, Provider, Recipe, Reference, Shape

from .inputs import checked
from .libraries import imported, install
from .pretrained import Weights, local_file, read_weights
from .references import WEIGHTS, XRV

_RANGE = 1024.0
"""Pixels go from -1024 to 1024, as Hounsfield units do."""
_AS_IT_IS = Recipe(epochs=0)
_FAMILIES = ("densenet121-", "resnet50-")


def _models() -> Any:
    return imported("torchxrayvision.models", "xrv")


def published(weights: str) -> Mapping[str, Any]:
    """What TorchXRayVision states of its weights: address, labels, thresholds, resolution.

    Raises:
        ModelError: if there are none of this name.
    """
    stated: Mapping[str, Mapping[str, Any]] = _models().model_urls
    if weights not in stated:
        raise ModelError(f"TorchXRayVision has no weights '{weights}'; 'medrobust plugins --provider xrv' lists all")
    return stated[weights]


@dataclass(frozen=True)
class XRVModel(Model):
    """A chest X-ray model of TorchXRayVision (Cohen et al., 2022), with its weights, one logit for each finding.

    Images in [0, 1] of any number of channels become one channel in [-1024, 1024], resized to the model's resolution.
    Weights come from `weights/xrv-WEIGHTS.safetensors` (or `.pth`) below the data root, in the library's names, where
    that file is there, else from the library, which keeps them in `~/.torchxrayvision` and downloads them once. They
    are taken as they are (`recipe.epochs` is 0) unless a recipe says otherwise.

    Attributes:
        weights: the library's name, such as `densenet121-res224-all`.
        labels: which of its findings are the outputs, in the order of the data set's classes; by default all that the
            weights were trained for. One finding serves a data set of two classes, the second of which is the finding.
        thresholds: take the library's operating point of each finding as the border of the decision, by a shift of its
            logit; the decisions are then those of the library's calibrated outputs at 0.5.
        init: `published`, the library's weights; or what any model takes.
        recipe: how it is trained; by default not at all.
    """

    name: ClassVar[str] = "xrv"
    revision: ClassVar[int] = 1
    libraries: ClassVar[tuple[str, ...]] = ("torchxrayvision",)
    references: ClassVar[tuple[Reference, ...]] = (XRV,)
    licence: ClassVar[str] = WEIGHTS
    weights: str = "densenet121-res224-all"
    labels: tuple[str, ...] = ()
    thresholds: bool = True
    init: str | Pretraining = "published"
    recipe: Recipe = _AS_IT_IS

    @property
    def title(self) -> str:
        return self.weights

    def build(self, shape: Shape) -> nn.Module:
        if shape.height != shape.width:
            raise ModelError(f"{self.weights} takes square images, not {shape.height}x{shape.width}")
        stated = published(self.weights)
        places = self._places(stated["labels"], shape.outputs)
        shift = [_logit(value) for value in stated["op_threshs"]] if self._calibrated else [0.0] * len(stated["labels"])
        parts = [Hounsfield(stated["input_resolution"]), self._network(len(stated["labels"])), Chosen(places, shift)]
        return checked(nn.Sequential(*parts), self.weights, shape)

    @property
    def _calibrated(self) -> bool:
        """Operating points belong to the published weights."""
        return self.thresholds and self.init == "published"

    def _places(self, stated: list[str], outputs: int) -> list[int]:
        """Numbers of the network's outputs that are asked for."""
        trained = [label for label in stated if label]
        for label in self.labels:
            if label not in trained:
                raise ModelError(f"{self.weights} has no finding '{label}'; it has {', '.join(trained)}")
        asked = self.labels or tuple(trained)
        if len(asked) != outputs and (len(asked), outputs) != (1, 2):
            raise ModelError(
                f"{self.weights} has {len(asked)} outputs ({', '.join(asked)}), and the data set {outputs} classes; "
                'name the finding of each class in their order, as in labels = ["Effusion", "Mass"]'
            )
        return [stated.index(label) for label in asked]

    def _network(self, outputs: int) -> nn.Module:
        """The architecture without weights, which the library's own classes would download."""
        if self.weights.startswith("resnet50"):
            residual: nn.Module = imported("torchvision.models", "xrv").resnet50(weights=None, num_classes=outputs)
            residual.conv1 = nn.Conv2d(1, 64, kernel_size=7, stride=2, padding=3, bias=False)
            return residual
        dense: nn.Module = _models().DenseNet(num_classes=outputs)
        return dense

    def imagenet_file(self, source: DataSource) -> Path | None:
        return local_file(source, [f"weights/xrv-{self.weights}{suffix}" for suffix in (".safetensors", ".pth")])

    def load_imagenet(self, module: nn.Module, source: DataSource) -> None:
        """The published weights: from the data root's `weights` folder, else from TorchXRayVision."""
        if self.init == "imagenet":
            raise ModelError(f'{self.weights} has no ImageNet weights; its own are init = "published"')
        file = self.imagenet_file(source)
        state = read_weights(file) if file else self._downloaded(source)
        network: nn.Module = module[1]  # type: ignore[index]
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            cause = str(error).splitlines()[1:2] or [str(error)]
            raise ModelError(f"the weights of {self.weights} do not fit: {cause[0].strip()}") from None

    def _downloaded(self, source: DataSource) -> Weights:
        models = _models()
        try:
            network = models.get_model(self.weights)
        except Exception as error:  # noqa: BLE001 - network, disk and damaged files each raise their own
            kept = Path(imported("torchxrayvision.utils", "xrv").get_cache_dir())
            file = kept / Path(published(self.weights)["weights_url"]).name
            place = f"weights/xrv-{self.weights}.safetensors"
            there = source.root / place if source.root else f"{place} below the data root"
            raise ModelError(
                f"TorchXRayVision cannot get the weights {self.weights} ({type(error).__name__}); connect to the "
                f"internet once, put its file at {file}, or the tensors at {there}"
            ) from None
        state: Weights = (network.model if hasattr(network, "model") else network).state_dict()
        return {name: value for name, value in state.items() if name != "op_threshs"}


def _logit(threshold: float) -> float:
    """The logit of a probability; 0 where the library states none."""
    return 0.0 if math.isnan(threshold) else math.log(threshold / (1 - threshold))


class Hounsfield(nn.Module):
    """Images in [0, 1] as the library's networks take them: one channel, their resolution, -1024 to 1024."""

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.resolution = resolution

    def forward(self, images: Tensor) -> Tensor:
        grey = images.mean(dim=1, keepdim=True)
        if grey.shape[-1] != self.resolution:
            grey = F.interpolate(grey, size=(self.resolution,) * 2, mode="bilinear", antialias=True)
        return grey * (2 * _RANGE) - _RANGE


class Chosen(nn.Module):
    """Some of the outputs, each less a shift."""

    places: Tensor
    shift: Tensor

    def __init__(self, places: list[int], shift: list[float]) -> None:
        super().__init__()
        self.register_buffer("places", torch.tensor(places), persistent=False)
        self.register_buffer("shift", torch.tensor([shift[place] for place in places]), persistent=False)

    def forward(self, logits: Tensor) -> Tensor:
        return logits.index_select(1, self.places) - self.shift


class XRayVision(Provider):
    """TorchXRayVision's chest models, such as `xrv:densenet121-res224-all`."""

    prefix: ClassVar[str] = "xrv"
    kind: ClassVar[str] = "model"
    library: ClassVar[str] = "torchxrayvision"
    install: ClassVar[str] = install("xrv")

    def names(self) -> Iterable[str]:
        return [name for name in _models().model_urls if name.startswith(_FAMILIES)]

    def plugin(self, name: str) -> Preset:
        if name not in self.names():
            raise KeyError(name)
        findings = sum(bool(label) for label in published(name)["labels"])
        return Preset(name, XRVModel, {"weights": name}, f"TorchXRayVision's {name}: {findings} findings.")
