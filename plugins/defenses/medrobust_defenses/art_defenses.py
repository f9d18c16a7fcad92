"""Pre- and postprocessors of ART by name, `art:JpegCompression`, as defenses that stand before or behind a model.

A preprocessor changes images, and gives a gradient of its own or lets gradients through as they are. A postprocessor
changes probabilities, which are taken of the logits and turned into logits again; gradients pass it as they are. Both
hide gradients where they do not break attacks: evaluate them by transfer and black-box attacks too.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, Final

import numpy as np
import torch
from torch import Tensor, nn

from medrobust import PluginError, Preprocessing, Provider, Reference, adapted, arguments

from .references import ART

GIVEN: Final = ("clip_values", "channels_first", "apply_fit", "apply_predict", "device_type", "verbose")
OTHERS: Final = ("Video", "Mp3", "TensorFlow")
"""What stands in the names of those that are not for images of a PyTorch model."""


@dataclass(frozen=True)
class ARTDefense(Preprocessing):
    """A pre- or postprocessor of ART."""

    libraries: ClassVar[tuple[str, ...]] = ("adversarial-robustness-toolbox",)
    references: ClassVar[tuple[Reference, ...]] = (ART,)
    adapts: ClassVar[Any]

    @property
    def title(self) -> str:
        return f"art:{self.name}"

    def _processor(self) -> Any:
        taken = inspect.signature(self.adapts).parameters
        known = {"clip_values": (0.0, 1.0), "channels_first": True, "apply_fit": False, "apply_predict": True}
        known |= {"device_type": "cpu", "verbose": False}
        return self.adapts(**arguments(self), **{name: value for name, value in known.items() if name in taken})


@dataclass(frozen=True)
class ARTPreprocessor(ARTDefense):
    """A preprocessor of ART."""

    def wrap(self, module: nn.Module) -> nn.Module:
        return _Before(self._processor(), module)


@dataclass(frozen=True)
class ARTPostprocessor(ARTDefense):
    """A postprocessor of ART."""

    def wrap(self, module: nn.Module) -> nn.Module:
        return _Behind(self._processor(), module)


class _Through(torch.autograd.Function):
    """A function of NumPy arrays with the gradient that ART gives it."""

    @staticmethod
    def forward(context: Any, values: Tensor, change: Any, gradient: Any) -> Tensor:
        context.save_for_backward(values)
        context.gradient = gradient
        changed = np.asarray(change(values.detach().cpu().numpy()), dtype=np.float32)
        return torch.as_tensor(changed, device=values.device)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (values,) = context.saved_tensors
        if context.gradient is None:
            return gradients[0], None, None
        found = context.gradient(values.cpu().numpy(), gradients[0].cpu().numpy())
        return torch.as_tensor(np.asarray(found, dtype=np.float32), device=values.device), None, None


class _Before(nn.Module):
    def __init__(self, processor: Any, module: nn.Module) -> None:
        super().__init__()
        self.processor, self.module = processor, module

    def forward(self, images: Tensor) -> Tensor:
        changed = _Through.apply(images, lambda x: self.processor(x)[0], self.processor.estimate_gradient)
        logits: Tensor = self.module(changed)
        return logits


class _Behind(nn.Module):
    def __init__(self, processor: Any, module: nn.Module) -> None:
        super().__init__()
        self.processor, self.module = processor, module

    def forward(self, images: Tensor) -> Tensor:
        changed: Tensor = _Through.apply(self.module(images), self._changed, None)
        return changed

    def _changed(self, logits: Any) -> Any:
        """Logits of the probabilities that the postprocessor leaves; of one logit, of its sigmoid."""
        scores = torch.as_tensor(logits)
        single = scores.shape[1] == 1
        probabilities = (scores.sigmoid() if single else scores.softmax(dim=1)).numpy()
        left = np.clip(np.asarray(self.processor(preds=probabilities), dtype=np.float64), 1e-12, 1.0)
        return np.log(left) - (np.log(np.clip(1 - left, 1e-12, 1.0)) if single else 0)


class ARTDefenses(Provider):
    """The pre- and postprocessors of ART for images."""

    prefix: ClassVar[str] = "art"
    kind: ClassVar[str] = "defense"
    library: ClassVar[str] = "adversarial-robustness-toolbox"

    def names(self) -> Iterable[str]:
        return _classes()

    def plugin(self, name: str) -> type[ARTDefense]:
        return _made(*_classes()[name])


def __getattr__(name: str) -> type[ARTDefense]:
    """The class of a defense, for processes that are handed an instance."""
    if not name.startswith("_") and name in (found := _classes()):
        return _made(*found[name])
    raise AttributeError(f"module '{__name__}' has no attribute '{name}'")


@cache
def _classes() -> dict[str, tuple[Any, type[ARTDefense]]]:
    """The processors of images that act when a model predicts."""
    found = {}
    bases: tuple[tuple[str, type[ARTDefense]], ...] = (
        ("preprocessor", ARTPreprocessor),
        ("postprocessor", ARTPostprocessor),
    )
    for kind, base in bases:
        module: Any = importlib.import_module(f"art.defences.{kind}")
        contract = getattr(importlib.import_module(f"art.defences.{kind}.{kind}"), kind.capitalize())
        for name, of in vars(module).items():
            if not (isinstance(of, type) and issubclass(of, contract)) or inspect.isabstract(of):
                continue
            predicts = inspect.signature(of).parameters.get("apply_predict")
            if not any(word in name for word in OTHERS) and predicts is not None and predicts.default is True:
                found[name] = (of, base)
    return dict(sorted(found.items()))


@cache
def _made(of: Any, base: type[ARTDefense]) -> type[ARTDefense]:
    if "estimator" in inspect.signature(of).parameters or of.__name__ == "PixelDefend":
        raise PluginError("needs another network, which a grid cannot give")
    if of.__name__ == "ThermometerEncoding":
        raise PluginError("gives images another number of channels, so the model must be trained on them")
    draws = "np.random" in inspect.getsource(of)
    return adapted(base, of, __name__, given=GIVEN, stochastic=draws)
