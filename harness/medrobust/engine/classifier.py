"""The one classifier through which all passes and gradients go."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..contracts import Classifier, Gradient, Loss, Task
from ..errors import PluginError, did_you_mean
from .prepare import PLAIN, Acceleration, Prepared, prepare


class TorchClassifier(Classifier):
    """A frozen module in evaluation mode, prepared for many passes.

    Freezing the parameters lets a backward pass compute the input gradient only, which is all an attack needs.

    Args:
        module: the original module, on its device; the host judges by it, adapters of other libraries use it.
        task: what its outputs mean.
        num_classes: number of outputs.
        acceleration: what of the fast path to use.
        sample: a few images by which the prepared module is checked; needed unless `acceleration` is plain.
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        num_classes: int,
        acceleration: Acceleration = PLAIN,
        sample: Tensor | None = None,
    ) -> None:
        self.task = task
        self.num_classes = num_classes
        self.forward_passes = 0
        self.backward_passes = 0
        self.last_logits: Tensor | None = None
        """Logits (n, outputs) of the last pass: by them the host sees for nothing which images look broken."""
        self.original = module.eval().requires_grad_(False)
        self._counted = _Counted(module, self)
        self._prepared = Prepared(module, torch.contiguous_format, None)
        self.activation_bytes = 0 if sample is None else activation_bytes(module, sample[:1])
        """What the layers put out for one image, in bytes."""
        if sample is not None and acceleration != PLAIN:
            self._prepared = prepare(module, str(sample.device), acceleration, sample)

    @property
    def module(self) -> nn.Module:
        return self._counted

    def _forward(self, images: Tensor) -> Tensor:
        prepared = self._prepared
        self.forward_passes += len(images)
        if prepared.autocast is None:
            logits: Tensor = prepared.module(images)
            return logits
        with torch.autocast(images.device.type, prepared.autocast):
            return prepared.module(images).float()  # type: ignore[no-any-return]

    def logits(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            self.last_logits = self._forward(images.contiguous(memory_format=self._prepared.memory_format))
        return self.last_logits

    def gradient(self, images: Tensor, loss: Loss) -> Gradient:
        leaf = images.detach().contiguous(memory_format=self._prepared.memory_format).requires_grad_(True)
        with torch.enable_grad():
            logits = self._forward(leaf)
            values = loss(logits)
        self.backward_passes += len(images)
        (gradient,) = torch.autograd.grad(values.sum(), leaf)
        self.last_logits = logits.detach()
        return Gradient(gradient, values.detach(), self.last_logits)

    def confirm(self, images: Tensor) -> Tensor:
        """Logits of the original module in float32: what decides whether an image is broken."""
        with torch.no_grad():
            logits: Tensor = self._counted(images.contiguous())
        return logits

    def features(self, images: Tensor, layer: str) -> Tensor:
        """Output of the named submodule of the original module.

        Raises:
            PluginError: if there is no such submodule, with the nearest name.
        """
        modules = dict(self.original.named_modules())
        if layer not in modules:
            raise PluginError(f"the model has no layer '{layer}'{did_you_mean(layer, modules)}")
        kept: list[Tensor] = []
        handle = modules[layer].register_forward_hook(lambda _module, _inputs, output: kept.append(output))
        try:
            with torch.no_grad():
                self._counted(images)
        finally:
            handle.remove()
        return kept[0]


def activation_bytes(module: nn.Module, image: Tensor) -> int:
    """Bytes that the layers of a module put out for one image (1, c, h, w)."""
    total = [0]

    def add(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            total[0] += output.numel() * output.element_size()

    handles = [m.register_forward_hook(add) for m in module.modules() if not list(m.children())]
    try:
        with torch.no_grad():
            module(image)
    finally:
        for handle in handles:
            handle.remove()
    return total[0]


class _Counted(nn.Module):
    """The original module for adapters of other libraries, counting images passed forward and backward."""

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
