"""An attack in a process of its own: whatever it does to itself stays there, and what it says of itself is checked."""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from medrobust import Attack, Budget, BudgetSpec, Classifier, DataInfo, Goal, PluginError, SampleRNG, ThreatModel
from medrobust.engine.adapters.reference import Reference
from medrobust.engine.adapters.trial import attempt

BUDGET = BudgetSpec.parse("linf:0.1")
FORKS = "fork" in multiprocessing.get_all_start_methods()

pytestmark = pytest.mark.skipif(not FORKS, reason="attacks are tried in forked processes")


@pytest.fixture(scope="module")
def reference() -> Reference:
    """A network that calls images by the sign of their mean, and bright images."""
    net = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        net[1].weight.copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))
    images = torch.linspace(0.04, 0.5, 4).view(4, 1, 1, 1).expand(4, 1, 2, 2).contiguous()
    info = DataInfo(task="multiclass", classes=("dark", "bright"), size=(2, 2), channels=1)
    return Reference(net.eval(), info, images, torch.ones(4, dtype=torch.long), ("a", "b", "c", "d"), 1.0, "net")


@dataclass(frozen=True)
class Behaving(Attack):
    """Does what its field says."""

    name: ClassVar[str] = "behaving"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})
    how: str = "well"

    def perturb(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG) -> Tensor:
        while self.how == "endless":
            classifier.logits(images)
        if self.how == "crash":
            os._exit(7)
        if self.how == "raise":
            raise ValueError("no such\n thing")
        if self.how == "plugin error":
            raise PluginError("needs a tiger")
        classifier.logits(images)
        return images * 0 if self.how == "far" else images


@dataclass(frozen=True)
class Claiming(Behaving):
    """Says of itself more than is true."""

    name: ClassVar[str] = "claiming"

    def crafted(self, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget) -> tuple[Any, ...]:
        return images - 0.2, images, torch.ones(len(images), dtype=torch.bool)


def test_a_sound_attack_is_judged(reference: Reference) -> None:
    found = attempt(Behaving(), reference, BUDGET, 20)
    assert (found.status, found.accuracy, found.passes, found.claims) == ("ok", 1.0, 1.0, "within")


@pytest.mark.parametrize(
    ("how", "status", "reason"),
    [
        ("endless", "too slow", "does not end within 1 s"),
        ("crash", "failed", "its process ended with exit code 7"),
        ("raise", "failed", "ValueError: no such thing"),
        ("plugin error", "failed", "needs a tiger"),
        ("far", "invalid", "3 of 4 images leave the budget: linf up to 0.5, allowed 0.1"),
    ],
)
def test_a_failed_attack_is_no_robust_model(reference: Reference, how: str, status: str, reason: str) -> None:
    found = attempt(Behaving(how), reference, BUDGET, 1)
    assert (found.status, found.reason, found.accuracy) == (status, reason, None)


def test_claims_are_held_against_what_is_measured(reference: Reference) -> None:
    found = attempt(Claiming(), reference, BUDGET, 20)
    assert found.claims == "4 of 4 beyond the radius, up to 0.2; flags wrong for 4"
