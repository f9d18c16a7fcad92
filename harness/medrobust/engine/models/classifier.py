"""The one classifier through which all passes and gradients go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from ...contracts import (
    PENULTIMATE,
    Arithmetic,
    Classifier,
    Gradient,
    LayerGradient,
    LayerLoss,
    Loss,
    SampleRNG,
    Task,
)
from ..acceleration import PLAIN, Acceleration
from .layers import layer_names, output_of, watched
from .prepare import Prepared, prepare
from .random_models import AttackNumbers, RandomInput, drawing

SCRIPTED = 100
"""Images that the layers of a TorchScript program put out for one, about as those of ResNet-50."""


class TorchClassifier(Classifier):
    """A frozen module in evaluation mode, prepared for many passes.

    Freezing the parameters lets a backward pass compute the input gradient only, which is all an attack needs.

    A network of two classes with a single output z is shown as one with two logits, -z/2 and z/2: decisions and
    cross-entropy are the same, and attacks that compare the logits of classes need not know of such networks.

    Args:
        module: the original module, on its device; the host judges by it, adapters of other libraries use it.
        task: what its outputs mean.
        num_classes: number of classes, or of labels.
        acceleration: what of the fast path to use.
        sample: a few images by which the prepared module is checked; needed unless `acceleration` is plain.
        arithmetic: in which passes of attacks are computed.
        stochastic: whether the module is random; `begin` then says which images the passes of a batch are about.
    """

    def __init__(
        self,
        module: nn.Module,
        task: Task,
        num_classes: int,
        acceleration: Acceleration = PLAIN,
        sample: Tensor | None = None,
        arithmetic: Arithmetic = "float32",
        *,
        stochastic: bool = False,
    ) -> None:
        self.task = task
        self.num_classes = num_classes
        self.arithmetic = arithmetic
        self.stochastic = stochastic
        self.forward_passes = 0
        self.backward_passes = 0
        self.original = module.eval().requires_grad_(False)
        self._counted = _Counted(module, self)
        self._numbers = AttackNumbers()
        self.activation_bytes = 0 if sample is None else activation_bytes(module, sample[:1])
        """What the layers put out for one image, in bytes."""
        if stochastic and not isinstance(module, RandomInput):
            # Traced, the numbers that the module draws would become constants.
            acceleration = replace(acceleration, fold=False)
        if sample is None or (acceleration == PLAIN and arithmetic == "float32"):
            autocast = torch.bfloat16 if arithmetic == "bfloat16" else None
            self._prepared = Prepared(module, torch.contiguous_format, autocast)
        else:
            self._prepared = prepare(module, str(sample.device), acceleration, sample, arithmetic)

    @property
    def module(self) -> nn.Module:
        return self._counted

    def begin(self, rng: SampleRNG) -> None:
        """A batch begins: of a random model, its passes draw numbers that follow from these streams."""
        self._numbers.begin(rng)

    @contextmanager
    def numbers(self, module: nn.Module, images: Tensor) -> Iterator[None]:
        """Fresh random numbers for one pass of a random module."""
        if not self.stochastic:
            yield
            return
        with drawing(module, self._numbers.next(images)):
            yield

    def _forward(self, images: Tensor) -> Tensor:
        prepared = self._prepared
        self.forward_passes += len(images)
        with self.numbers(prepared.module, images):
            if prepared.autocast is None:
                return self.shown(prepared.module(images))
            with torch.autocast(images.device.type, prepared.autocast):
                return self.shown(prepared.module(images).float())

    def shown(self, logits: Tensor) -> Tensor:
        """Logits (n, outputs) as attacks see them: two of a network that decides between two classes with one."""
        if self.task == "multiclass" and logits.shape[1] == 1:
            return torch.cat([-logits / 2, logits / 2], dim=1)
        return logits

    def logits(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self._forward(images.contiguous(memory_format=self._prepared.memory_format))

    def gradient(self, images: Tensor, loss: Loss, *, draws: int = 1) -> Gradient:
        if draws == 1 or not self.stochastic:
            return self.gradients(images, [loss])[0]
        found = [self.gradients(images, [loss])[0] for _ in range(draws)]
        gradient, values, logits = (torch.stack(list(each)).mean(dim=0) for each in zip(*found, strict=True))
        return Gradient(gradient, values, logits)

    def gradients(self, images: Tensor, losses: Sequence[Loss]) -> list[Gradient]:
        leaf = images.detach().contiguous(memory_format=self._prepared.memory_format).requires_grad_(True)
        with torch.enable_grad():
            logits = self._forward(leaf)
            values = [loss(logits) for loss in losses]
        self.backward_passes += len(images) * len(losses)
        found = []
        for number, value in enumerate(values, start=1):
            (gradient,) = torch.autograd.grad(value.sum(), leaf, retain_graph=number < len(values))
            if 0 in gradient.stride():
                # Of a model that sums its pixels, one number stands for many, and could not be changed in place.
                gradient = gradient.clone()
            found.append(Gradient(gradient, value.detach(), logits.detach()))
        return found

    def confirm(self, images: Tensor) -> Tensor:
        """Logits of the original module in float32: what decides whether an image is broken."""
        with torch.no_grad():
            logits: Tensor = self._counted(images.contiguous())
        return logits

    @property
    def layers(self) -> tuple[str, ...]:
        return layer_names(self.original)

    def features(self, images: Tensor, layer: str = PENULTIMATE) -> Tensor:
        with torch.no_grad(), watched(self.original, [layer]) as kept:
            self._counted(images.contiguous())
        return output_of(kept, layer, self.original)

    def layer_gradient(self, images: Tensor, loss: LayerLoss, layer: str = PENULTIMATE) -> LayerGradient:
        leaf = images.detach().contiguous().requires_grad_(True)
        self.forward_passes += len(images)
        self.backward_passes += len(images)
        with torch.enable_grad(), watched(self.original, [layer]) as kept, self.numbers(self.original, images):
            logits = self.shown(self.original(leaf))
            features = output_of(kept, layer, self.original)
            values = loss(logits, features)
            found = torch.autograd.grad(values.sum(), (leaf, features), allow_unused=True)
        gradient, at_layer = (
            torch.zeros_like(of) if each is None else each.clone()
            for each, of in zip(found, (leaf, features), strict=True)
        )
        return LayerGradient(gradient, at_layer, values.detach(), logits.detach(), features.detach())


def activation_bytes(module: nn.Module, image: Tensor) -> int:
    """Bytes that the layers of a module put out for one image (1, c, h, w); of TorchScript, which lets nobody watch its
    layers, a guess."""
    if any(isinstance(m, torch.jit.ScriptModule) for m in module.modules()):
        return SCRIPTED * image.numel() * image.element_size()
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

    def __init__(self, inner: nn.Module, counter: TorchClassifier) -> None:
        super().__init__()
        self.inner = inner
        self._counter = [counter]  # in a list, so that torch does not take it for a submodule

    def forward(self, images: Tensor) -> Tensor:
        counter, n = self._counter[0], len(images)
        counter.forward_passes += n
        with counter.numbers(self.inner, images):
            logits = counter.shown(self.inner(images))
        if logits.requires_grad:

            def count(gradient: Any) -> None:
                counter.backward_passes += n

            logits.register_hook(count)
        return logits
