"""The loss around an image, along two directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor

from ...contracts import Classifier, Length, Reference, Untargeted
from ...errors import PluginError
from .selection import FirstOfClass, own_decision

LIU = Reference(
    ("Y. Liu", "X. Chen", "C. Liu", "D. Song"),
    "Delving into transferable adversarial examples and black-box attacks",
    "ICLR",
    2017,
)
RADIUS: Final = Length.parse("8/255")
BATCH: Final = 256
"""Images in one pass."""


@dataclass(frozen=True)
class LossSurface(FirstOfClass):
    """The loss at x + eps1 g + eps2 h: g is the sign of the model's gradient, h that of the cell's perturbation.

    Of a cell with FGSM on a surrogate, h is the sign of the surrogate's gradient, as in Fig 7 of ma2020; with a budget
    that has `box=none` also where pixels are black or white. Pixels stay in [0, 1], so that along g alone the loss is
    that of FGSM. The loss is that of the class that the model gives the clean image.

    Arrays: `loss` (n, points, points), rows along g and columns along h; `eps` (n, points), in pixels of [0, 1].

    Attributes:
        per_class: images per class; if images have no label, or several, the total number.
        radius: the largest eps.
        points: how many values of eps there are on each axis, the first at 0.
    """

    name: ClassVar[str] = "loss-surface"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (LIU,)
    radius: Length = RADIUS
    points: Annotated[int, Field(ge=2, le=65)] = 17

    def __post_init__(self) -> None:
        if self.radius.unit != "pixel01":
            raise ValueError(f"radius: expected a length such as 8/255, got '{self.radius}'")

    def measure(self, classifier: Classifier, images: Tensor, adversarial: Tensor) -> dict[str, NDArray[Any]]:
        if torch.equal(adversarial, images):
            raise PluginError(
                "probe 'loss-surface' has no second direction, as the cell's images are not attacked; measure it of "
                "an attack on a surrogate, such as attack = \"fgsm\", surrogate = { instance = 'other' }"
            )
        goal = own_decision(classifier, images)
        own = classifier.gradient(images, goal.loss).gradient.sign()
        other = (adversarial - images).sign()
        eps = torch.linspace(0, self.radius.resolve(), self.points, device=images.device)
        surfaces = []
        for number in torch.arange(len(images), device=images.device).split(1):
            labels = goal.labels[number].expand(self.points**2, *goal.labels.shape[1:])
            surfaces.append(_surface(classifier, images[number], own[number], other[number], Untargeted(labels), eps))
        radii = np.tile(eps.cpu().numpy(), (len(images), 1))
        return {"loss": torch.stack(surfaces).cpu().numpy(), "eps": radii}


def _surface(
    classifier: Classifier, image: Tensor, own: Tensor, other: Tensor, goal: Untargeted, eps: Tensor
) -> Tensor:
    """The loss (points, points) around one image (1, c, h, w); the goal has the label of every point."""
    first, second = (each.reshape(-1, 1, 1, 1) for each in torch.meshgrid(eps, eps, indexing="ij"))
    logits = [
        classifier.logits((image + a * own + b * other).clamp(0, 1))
        for a, b in zip(first.split(BATCH), second.split(BATCH), strict=True)
    ]
    return goal.loss(torch.cat(logits)).reshape(len(eps), len(eps))
