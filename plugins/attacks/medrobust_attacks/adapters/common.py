"""What all adapters of attacks share: the network as libraries expect it, the ball of a budget, how long they take."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from medrobust import Attack, Budget, Classifier, Passes, PluginError

ROUNDS = ("steps", "max_iter", "nb_steps", "n_queries", "iterations", "binary_search_steps", "repeats", "n_restarts")
"""Parameters that libraries give to the number of passes, by their usual names."""


@dataclass(frozen=True)
class AdaptedAttack(Attack):
    """An attack of another library.

    Libraries draw from global generators, which the host seeds for each batch; so batches are of one size.
    """

    global_rng: ClassVar[bool] = True

    def cost(self, images: int, classes: int) -> Passes:
        rounds = 1.0
        for name in ROUNDS:
            value: Any = getattr(self, name, 1)
            rounds *= value if type(value) is int and value > 0 else 1
        count = images * min(rounds, 1e5)
        return Passes(gradient=count) if self.threat.knowledge == "white-box" else Passes(forward=count)


class ForLibraries(nn.Module):
    """A network as libraries expect it.

    It takes images in float64 too, as some of them pass, and has a logit for each class: of two classes with one logit
    it puts out two, with the same decisions and the same cross-entropy.

    Args:
        inner: the network.
        two: whether a single logit tells two classes apart, as in tasks of one class for each image.
        classes: number of logits wanted; those that the network does not have are never the largest.
        probabilities: put out probabilities in place of logits.
    """

    def __init__(self, inner: nn.Module, *, two: bool, classes: int = 0, probabilities: bool = False) -> None:
        super().__init__()
        self.inner = inner
        self.two, self.classes, self.probabilities = two, classes, probabilities

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.inner(images.float())
        if self.two and logits.shape[1] == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        if (lacking := self.classes - logits.shape[1]) > 0:
            never = logits.amin(dim=1, keepdim=True) - 20
            logits = torch.cat([logits, never.expand(-1, lacking)], dim=1)
        return logits.softmax(dim=1) if self.probabilities else logits


PACKAGES: Final = {"cv2": "opencv-python-headless", "PIL": "pillow", "skimage": "scikit-image"}
"""Distributions of modules that are called otherwise."""


@contextmanager
def installed(library: str) -> Iterator[None]:
    """Say what to install where a library needs another one for some of its attacks."""
    try:
        yield
    except ModuleNotFoundError as error:
        package = PACKAGES.get(error.name or "", error.name)
        raise PluginError(f"{library} needs {package} for it, which is not installed: pip install {package}") from None


def network(classifier: Classifier, *, classes: int = 0, probabilities: bool = False) -> nn.Module:
    """The network that a library is given, see `ForLibraries`; its passes are counted."""
    two = classifier.task == "multiclass"
    return ForLibraries(classifier.module, two=two, classes=classes, probabilities=probabilities).eval()


def outputs(classifier: Classifier) -> int:
    """Number of logits of `network`."""
    return max(classifier.num_classes, 2)


def unrounded(images: Tensor, budget: Budget) -> Tensor:
    """Images that leave the box by no more than rounding, put back into it; others as they are."""
    if budget.box is None:
        return images
    kept = images.clamp(*budget.box)
    return torch.where((images - kept).abs() < 1e-5, kept, images)


def within(images: Tensor, adversarial: Tensor, budget: Budget) -> Tensor:
    """Adversarial images of any size, drawn back to the radius of the budget where they are further away.

    In linf each value is drawn back alone, in l2 and l1 all of an image in proportion (as foolbox does); in l0 the
    largest changes are kept.
    """
    if budget.eps is None:
        return adversarial
    change = adversarial - images
    if budget.norm == "linf":
        return images + change.clamp(-budget.eps, budget.eps)
    flat = change.flatten(1)
    if budget.norm == "l0":
        kept = min(math.floor(budget.eps), flat.shape[1])
        least = flat.abs().topk(kept, dim=1).indices
        mask = torch.zeros_like(flat, dtype=torch.bool).scatter_(1, least, True)
        return torch.where(mask.view_as(images), adversarial, images)
    size = flat.norm(p=1 if budget.norm == "l1" else 2, dim=1).clamp_min(1e-12)
    factor = (budget.eps / size).clamp(max=1).view(-1, *[1] * (images.ndim - 1))
    return torch.where(factor < 1, images + change * factor, adversarial)
