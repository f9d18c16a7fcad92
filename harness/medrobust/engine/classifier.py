"""The one classifier through which all passes and gradients go."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Classifier, Gradient, Loss, Task
from ..errors import PluginError, did_you_mean


class TorchClassifier(Classifier):
    """A frozen module in evaluation mode.

    Freezing the parameters lets a backward pass compute the input gradient only, which is all an attack needs.
    """

    def __init__(self, module: nn.Module, task: Task, num_classes: int) -> None:
        self.task = task
        self.num_classes = num_classes
        self.forward_passes = 0
        self.backward_passes = 0
        module.eval().requires_grad_(False)
        self._module = _Counted(module, self)

    @property
    def module(self) -> nn.Module:
        return self._module

    def logits(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            result: Tensor = self._module(images)
        return result

    def gradient(self, images: Tensor, loss: Loss) -> Gradient:
        leaf = images.detach().requires_grad_(True)
        with torch.enable_grad():
            logits = self._module(leaf)
            values = loss(logits)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        return Gradient(gradient, values.detach(), logits.detach())

    def features(self, images: Tensor, layer: str) -> Tensor:
        """Output of the named submodule.

        Raises:
            PluginError: if there is no such submodule, with the nearest name.
        """
        modules = dict(self._module.inner.named_modules())
        if layer not in modules:
            raise PluginError(f"the model has no layer '{layer}'{did_you_mean(layer, modules)}")
        kept: list[Tensor] = []
        handle = modules[layer].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        try:
            self.logits(images)
        finally:
            handle.remove()
        return kept[0]


class _Counted(nn.Module):
    """Counts images passed forward and backward, whoever calls."""

    def __init__(self, inner: nn.Module, counter: Classifier) -> None:
        super().__init__()
        self.inner = inner
        self._counter = [counter]  # in a list, so that torch does not take it for a submodule

    def forward(self, images: Tensor) -> Tensor:
        counter, n = self._counter[0], len(images)
        counter.forward_passes += n
        logits: Tensor = self.inner(images)
        if logits.requires_grad:

            def count(gradient: Any) -> None:
                counter.backward_passes += n

            logits.register_hook(count)
        return logits
