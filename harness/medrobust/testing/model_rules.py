"""Rules for models: logits, from pixels in [0, 1], image by image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..contracts import Model, Shape
from ..errors import ModelError, PluginError
from ..results.verdict import logits_fault
from .rules import Broken, LeftOut, Rule, rule

SIDES: Final = (32, 64, 96, 224, 299)
"""Sides of images that are tried, the smallest first."""
OUTPUTS: Final = 3
CLOSE: Final = 1e-4
"""Difference of logits, relative to the largest, that rounding may make."""
WIDEST: Final = 6.0
"""Largest value that the first layer is given of images in [0, 1]; ImageNet's normalisation gives 2.7, twice 9.7."""
NARROWEST: Final = 0.02
"""Least spread of these values; images divided by 255 once too often have less than 0.02."""
SECONDS: Final = 10.0
"""How long the training of a model may take here."""
STEPS: Final = 60
LEARNED: Final = 0.8
"""Share of images that a trained model gets right."""


@dataclass
class ModelCase:
    """A model, built for the smallest images that it takes."""

    model: Model

    @cached_property
    def shape(self) -> Shape:
        """The smallest shape that it takes.

        Raises:
            Broken: if it takes none of those tried.
            LeftOut: if it says the same of all of them, such as that a library is missing.
        """
        errors: list[str] = []
        for channels in (3, 1):
            for side in SIDES:
                shape = Shape(channels, side, side, OUTPUTS)
                try:
                    self.build(shape)(torch.rand(2, channels, side, side))
                except ModelError as error:
                    errors.append(str(error))
                    continue
                except RuntimeError as error:
                    # Too small for its pooling, in most architectures; the model should say so itself.
                    errors.append(str(error).splitlines()[0])
                    continue
                return shape
        if len(set(errors)) == 1:
            raise LeftOut(f"it cannot be built here: {errors[0]}")
        raise Broken(f"takes no images of {SIDES[0]} to {SIDES[-1]} pixels: {errors[-1]}")

    def other_shapes(self) -> Iterator[Shape]:
        """Other images and outputs: grey and colour, one output, and two."""
        for channels in (1, 3):
            for outputs in (1, 2, OUTPUTS):
                yield replace(self.shape, channels=channels, outputs=outputs)

    def build(self, shape: Shape, seed: int = 0) -> nn.Module:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.model.build(shape).eval()

    def built(self, seed: int = 0) -> nn.Module:
        """The model with random weights, in evaluation mode."""
        return self.build(self.shape, seed)

    def images(self, count: int = 4) -> Tensor:
        """Images that fill [0, 1]."""
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand((count, self.shape.channels, 8, 8), generator=generator)
        return F.interpolate(coarse, size=self.shape.height, mode="bilinear", align_corners=True)


def _passed(module: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        logits: Tensor = module(images)
    return logits


@rule("logits")
def logits(case: ModelCase) -> None:
    """It gives finite logits (n, outputs) in float32, by its name alone."""
    found = _passed(case.built(), case.images())
    if fault := logits_fault(found, 4, OUTPUTS):
        raise Broken(fault)
    if found.dtype != torch.float32:
        raise Broken(f"gives {found.dtype}, not torch.float32")


@rule("every form")
def every_form(case: ModelCase) -> None:
    """Of grey and of colour images, for one output, two and three: it gives as many logits, or says that it cannot."""
    for shape in case.other_shapes():
        told = (
            f"{shape.channels} channel{'s' * (shape.channels > 1)}, {shape.outputs} output{'s' * (shape.outputs > 1)}"
        )
        try:
            module = case.build(shape)
        except (ModelError, PluginError):
            continue  # it says itself what it is not made for
        try:
            found = _passed(module, torch.rand(2, shape.channels, shape.height, shape.width))
        except RuntimeError as error:
            first = str(error).splitlines()[0]
            raise Broken(f"{told}: {first}; build for `shape`, or raise medrobust.ModelError") from error
        if fault := logits_fault(found, 2, shape.outputs):
            raise Broken(f"{told}: {fault}; build for `shape`, or raise medrobust.ModelError")


@rule("no probabilities")
def no_probabilities(case: ModelCase) -> None:
    """Its outputs are logits, no probabilities."""
    found = _passed(case.built(), case.images())
    if ((found >= 0) & (found <= 1)).all() and ((found.sum(dim=1) - 1).abs() < 1e-4).all():
        raise Broken("every row of its outputs is in [0, 1] and adds up to 1; leave the softmax out")


@rule("evaluation mode")
def evaluation_mode(case: ModelCase) -> None:
    """In evaluation mode an image's logits do not depend on its batch, nor on chance (batch norm, dropout)."""
    module, images = case.built(), case.images()
    first, again = _passed(module, images), _passed(module, images)
    if not torch.equal(first, again):
        if case.model.stochastic:
            raise LeftOut("it declares that it is random")
        raise Broken("two passes of equal images differ; leave dropout to training mode, or declare stochastic = True")
    difference = float((_passed(module, images[:1]) - first[:1]).abs().max() / first.abs().max())
    if difference > CLOSE:
        raise Broken(
            f"logits of an image alone differ by {difference:.2g} (relative) from those in a batch of 4; batch norm "
            "must not stay in training mode"
        )


@rule("normalisation")
def normalisation(case: ModelCase) -> None:
    """It takes pixels in [0, 1] and normalises them once."""
    module = case.built()
    with _first_input(module) as seen:
        _passed(module, case.images(8))
    if not seen:
        raise LeftOut("it has no convolution or linear layer to look at")
    values = seen[0]
    most, spread = float(values.abs().max()), float(values.std())
    if most > WIDEST:
        raise Broken(f"its first layer is given values up to {most:.3g}: images are in [0, 1]; normalise them once")
    if spread < NARROWEST:
        told = f"its first layer is given values with a spread of {spread:.2g}"
        raise Broken(f"{told}: images are in [0, 1], not in [0, 255]")


@contextmanager
def _first_input(module: nn.Module) -> Iterator[list[Tensor]]:
    """What the first layer with weights is given."""
    seen: list[Tensor] = []

    def note(_module: nn.Module, inputs: tuple[Any, ...]) -> None:
        if not seen and inputs and isinstance(inputs[0], Tensor):
            seen.append(inputs[0].detach())

    kinds = (nn.Conv2d, nn.Linear)
    handles = [m.register_forward_pre_hook(note) for m in module.modules() if isinstance(m, kinds)]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@rule("images untouched")
def images_untouched(case: ModelCase) -> None:
    """It does not change the images that it is given."""
    images = case.images()
    kept = images.clone()
    _passed(case.built(), images)
    if not torch.equal(images, kept):
        raise Broken("has changed its input; normalise a copy")


@rule("seed")
def seed(case: ModelCase) -> None:
    """The same seed gives the same weights."""
    first, again = case.built(), case.built()
    for name, value in first.state_dict().items():
        if not torch.equal(value, again.state_dict()[name]):
            raise Broken(f"two builds with one seed differ in '{name}'; draw from torch's global generator")


@rule("gradient")
def gradient(case: ModelCase) -> None:
    """The gradient with respect to the images is finite, and not zero."""
    images = case.images().requires_grad_(True)
    module = case.built().requires_grad_(False)
    output = module(images)
    if not output.requires_grad:
        raise Broken("has no gradient with respect to the images (no_grad or detach inside)")
    (found,) = torch.autograd.grad(F.cross_entropy(output, torch.arange(4) % OUTPUTS), images)
    if not torch.isfinite(found).all():
        raise Broken("the gradient with respect to the images is not finite")
    if not found.any():
        raise Broken("the gradient with respect to the images is zero")


@rule("learns")
def learns(case: ModelCase) -> None:
    """Trained, it says in evaluation mode what it was taught, class by class in that order."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        module, images = case.built(), case.images(24)
        labels = torch.arange(24) % OUTPUTS
        images = (images * 0.5 + 0.22 * labels.view(-1, 1, 1, 1)).clamp(0, 1)
        optimizer = torch.optim.Adam(module.requires_grad_(True).parameters(), lr=2e-3)
        begun = time.perf_counter()
        module.train()
        for _ in range(STEPS):
            if time.perf_counter() - begun > SECONDS:
                raise LeftOut(f"its training takes longer than {SECONDS:.0f} s here")
            loss = F.cross_entropy(module(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        taught = float((module(images).argmax(dim=1) == labels).float().mean())
        module.eval()
        said = _passed(module, images).argmax(dim=1)
    right = float((said == labels).float().mean())
    if taught < LEARNED:
        raise LeftOut(f"it has not learned the images within {STEPS} steps ({taught:.0%} in training mode)")
    if right >= LEARNED:
        return
    moved = [int(torch.mode(said[labels == number]).values) for number in range(OUTPUTS)]
    if len(set(moved)) == OUTPUTS:
        order = ", ".join(f"{number} becomes {other}" for number, other in enumerate(moved))
        raise Broken(f"its classes are in another order in evaluation mode than in training mode: {order}")
    raise Broken(f"gets {taught:.0%} of the images right in training mode, and {right:.0%} in evaluation mode")


RULES: tuple[Rule, ...] = (
    logits,
    every_form,
    no_probabilities,
    evaluation_mode,
    normalisation,
    images_untouched,
    seed,
    gradient,
    learns,
)
