"""What an attack sees of a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from torch import Tensor, nn

Task = Literal["multiclass", "multilabel"]
Loss = Callable[[Tensor], Tensor]
"""Per-image loss (n,) of logits (n, outputs)."""
LayerLoss = Callable[[Tensor, Tensor], Tensor]
"""Per-image loss (n,) of logits (n, outputs) and the output of a layer (n, ...)."""
PENULTIMATE: Final = "penultimate"
"""The name of what goes into the last linear layer or convolution of any architecture: its deep features."""


class Gradient(NamedTuple):
    """The gradient of the summed per-image loss with respect to the images, with loss and logits of the same pass."""

    gradient: Tensor
    """Shape of the images (n, c, h, w)."""
    loss: Tensor
    """Per-image loss (n,), detached."""
    logits: Tensor
    """Logits (n, outputs), detached."""


class LayerGradient(NamedTuple):
    """Gradients of the summed per-image loss, with loss, logits and features of the same pass, all detached."""

    gradient: Tensor
    """With respect to the images (n, c, h, w)."""
    at_layer: Tensor
    """With respect to the output of the layer, in its shape."""
    loss: Tensor
    """Per-image loss (n,)."""
    logits: Tensor
    """Logits (n, outputs)."""
    features: Tensor
    """Output of the layer (n, ...)."""


class Classifier(ABC):
    """A trained model as an attack sees it: images are float32 (n, c, h, w) in [0, 1], outputs are logits.

    An attack never calls `backward` itself, so that one place can be made fast and every pass is counted.
    """

    task: Task
    num_classes: int
    stochastic: bool = False
    """Whether equal images may give different logits, of a random model or defense."""
    forward_passes: int
    """Images passed forward so far."""
    backward_passes: int
    """Images passed backward so far."""

    @property
    @abstractmethod
    def module(self) -> nn.Module:
        """The network itself, for adapters of other libraries; passes through it are counted too."""

    @abstractmethod
    def logits(self, images: Tensor) -> Tensor:
        """Logits (n, outputs), without gradient."""

    @abstractmethod
    def gradient(self, images: Tensor, loss: Loss, *, draws: int = 1) -> Gradient:
        """Gradient of `loss` with respect to the images.

        Of a random model, gradient, loss and logits are means over `draws` passes, each with random numbers of its own
        (expectation over transformation, Athalye et al., "Synthesizing robust adversarial examples", ICML 2018). For
        any other model, one pass is made.
        """

    def gradients(self, images: Tensor, losses: Sequence[Loss]) -> list[Gradient]:
        """Gradients of several losses with respect to the same images, in their order.

        The model's passes forward are shared: k losses cost one, and k passes backward.
        """
        return [self.gradient(images, loss) for loss in losses]

    @property
    @abstractmethod
    def layers(self) -> tuple[str, ...]:
        """Names of the layers that `features` and `layer_gradient` take, `penultimate` first."""

    @abstractmethod
    def features(self, images: Tensor, layer: str = PENULTIMATE) -> Tensor:
        """Output (n, ...) of the named submodule, without gradient.

        A submodule that runs several times in a pass counts as it ran last. `penultimate` is what goes into the last
        linear layer or convolution.

        Raises:
            PluginError: if there is no such submodule, with the names of those there are.
        """

    @abstractmethod
    def layer_gradient(self, images: Tensor, loss: LayerLoss, layer: str = PENULTIMATE) -> LayerGradient:
        """Gradients of a loss of logits and of a layer's output with respect to the images and to that output.

        Raises:
            PluginError: if there is no such layer, with the names of those there are.
        """
