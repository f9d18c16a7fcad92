"""A whole attack in one file: medrobust run grid.toml --plugin momentum_fgsm.py"""

from dataclasses import dataclass
from typing import ClassVar

from medrobust import Attack, ThreatModel


@dataclass(frozen=True)
class MomentumFGSM(Attack):
    """Momentum iterative FGSM (Dong et al., CVPR 2018)."""

    name: ClassVar[str] = "mi-fgsm"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    steps: int = 10
    decay: float = 1.0

    def perturb(self, classifier, images, goal, budget, rng):
        x, momentum = images.clone(), 0
        for _ in range(self.steps):
            gradient = classifier.gradient(x, goal.loss).gradient
            size = gradient.abs().mean(dim=(1, 2, 3), keepdim=True).clamp_min(1e-12)
            momentum = self.decay * momentum + gradient / size
            x = x + budget.eps / self.steps * momentum.sign()
            x = x.clamp(images - budget.eps, images + budget.eps).clamp(0, 1)
        return x
