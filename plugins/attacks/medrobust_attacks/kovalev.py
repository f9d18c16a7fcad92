"""The attack of kovalev2019, whose printed formula can be read in several ways."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from torch import Tensor

from medrobust import (
    Budget,
    Classifier,
    Count,
    Goal,
    IterativeAttack,
    Loss,
    Positive,
    Reference,
    SampleRNG,
    Targeted,
    ThreatModel,
    cumulative,
)

from .geometry import radius
from .gradient import Steps, ascend
from .references import KOVALEV


def probability_loss(goal: Goal) -> Loss:
    """What is ascended to take probability from the goal's label, or to give it to a target class, per image.

    The gradient of a probability p is that of its logarithm times p; near 0 and 1 it vanishes.
    """

    def loss(logits: Tensor) -> Tensor:
        value = goal.loss(logits)
        return value.exp() if isinstance(goal, Targeted) else -(-value).exp()

    return loss


@dataclass(frozen=True)
class KovalevPGD(IterativeAttack):
    """The projected gradient descent of kovalev2019 (formula 1), with what the paper leaves open as parameters.

    Kovalev and Voynov, "Influence of control parameters and the size of biomedical image datasets on the success of
    adversarial attacks", 2019. The formula reads `x_(k+1) = x_k - lr * Clip_(x,eps)(gradient of y_p at x_k)`, from the
    clean image, with one lr for all radii and tasks. It leaves open:

    - what is clipped. As printed, the gradient. The default clips the image, as projected gradient descent and the
      symbol `Clip_(x,eps)` have it: the paper expects nearly every pixel on the border of the ball in the end.
    - whether the sign of the gradient is taken. The formula has none, but without it a step has no scale unless lr is
      known, and it is not given: the same lr moves a large image less than a small one. The default takes the sign, so
      that lr is a length. The raw gradient is the reading under which confident images resist, as their gradient
      vanishes.
    - lr. The default of 0.01 is the one fixed length whose 20 steps (the number of Fig. 2) just reach the largest
      radius of the paper, 0.20.
    - y_p. The default is the probability of a class, of the predicted one with `goal = "predicted"` and of the true one
      with `goal = "untargeted"`. With the sign, the cross-entropy gives the same steps until probabilities saturate.
    - the scale of eps. Budgets of medrobust carry theirs; the grid of the paper reads 0.02 to 0.20 as shares of the
      range of a pixel.

    Attributes:
        steps: number of steps (cumulative); 20 in Fig. 2.
        learning_rate: lr: with the sign of the gradient, the length of a step, pixels in [0, 1]; with the raw gradient
            its factor; with a clipped gradient the factor of what is left of it, at most eps a pixel.
        clip: `iterate`: keep the image within eps; `gradient`: cut each entry of the gradient (or its sign) to eps.
            The image then stays within eps as long as steps times learning_rate is at most 1.
        direction: `sign` of the gradient, or the `raw` gradient.
        objective: what is decreased: the `probability` of the goal's label, or its logarithm (`cross-entropy`).
        draws: number of draws over which gradients of a random model are averaged (expectation over transformation).
    """

    name: ClassVar[str] = "kovalev-pgd"
    revision: ClassVar[int] = 1
    references: ClassVar[tuple[Reference, ...]] = (KOVALEV,)
    threat: ClassVar[ThreatModel] = ThreatModel(norms=frozenset({"linf"}), tasks=frozenset({"multiclass"}))
    steps: Count = cumulative(20)
    learning_rate: Positive = 0.01
    clip: Literal["iterate", "gradient"] = "iterate"
    direction: Literal["sign", "raw"] = "sign"
    objective: Literal["probability", "cross-entropy"] = "probability"
    draws: Count = 1

    def __post_init__(self) -> None:
        # The tolerance is that of rounding: 20 steps of 0.05 are allowed.
        if self.clip == "gradient" and self.steps * self.learning_rate > 1 + 1e-9:
            raise ValueError(
                f"with clip = 'gradient' a pixel moves by up to learning_rate * eps a step, so {self.steps} "
                f"steps with learning_rate = {self.learning_rate:g} may leave the radius; take learning_rate = "
                f"{1 / self.steps:g} or less, or clip = 'iterate'"
            )

    def iterates(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Steps:
        eps = radius(budget)

        def direction_of(gradient: Tensor, norm: str) -> Tensor:
            found = gradient.sign_() if self.direction == "sign" else gradient
            return found.clamp_(-eps, eps) if self.clip == "gradient" else found

        def loss(goal: Goal) -> Loss:
            return probability_loss(goal) if self.objective == "probability" else goal.loss

        return ascend(
            classifier, images, images, goal, budget, self.learning_rate, self.steps, loss, self.draws, direction_of
        )
