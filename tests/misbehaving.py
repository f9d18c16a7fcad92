"""Attacks that a host must survive and judge, as a local plugin file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from medrobust import Attack, Budget, Classifier, Goal, SampleRNG, ThreatModel

FAULTS = ("raises", "nan", "budget", "box", "shape", "dtype", "none", "list")


@dataclass(frozen=True)
class Misbehaving(Attack):
    """Does what an attack must not do.

    Attributes:
        fault: what it does.
    """

    name: ClassVar[str] = "misbehaving"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf", "l2"})
    fault: str = "raises"

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Any:
        assert budget.eps is not None
        match self.fault:
            case "raises":
                raise RuntimeError("the attack [/broke] down")
            case "nan":
                return torch.where(images > images.mean(), float("nan"), images)
            case "budget":
                return (images + 2 * budget.eps).clamp(0, 1)
            case "box":
                return images - images.amin() - budget.eps / 2 if budget.eps > 1 else images * 0 - budget.eps / 2
            case "shape":
                return images[:, :, 1:]
            case "dtype":
                return images.double()
            case "list":
                return [images]
            case "exit":
                raise SystemExit(3)
            case "in place":
                return images.add_(2 * budget.eps).clamp_(0, 1)
            case "weights":
                for parameter in classifier.module.parameters():
                    parameter.data.zero_()
                return images
            case "training":
                classifier.module.train()
                return images
        return None
