"""Several attacks as one adversary: any list, and AutoAttack."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, get_args

from pydantic import Field

from medrobust import AnyAttack, Attack, Count, Ensemble, Norm, Reference, ThreatModel

from .apgd import APGD
from .fab import FAB
from .geometry import NORMS
from .references import AUTOATTACK, FAB_ATTACK, SQUARE
from .square import Square


@dataclass(frozen=True)
class WorstCase(Ensemble):
    """The worst of several attacks, image by image: an image is robust only where each of them fails.

    Members run cheapest first. With `stop = "success"`, each gets the images that those before it have left unbroken. A
    member that is listed twice starts again with other random numbers.

    Attributes:
        of: the attacks, in any order.
    """

    name: ClassVar[str] = "worst-case"
    revision: ClassVar[int] = 1
    threat: ClassVar[ThreatModel] = ThreatModel(norms=frozenset(get_args(Norm)), minimal=True)
    of: Annotated[tuple[Attack, ...], Field(min_length=1)]

    @property
    def made_of(self) -> tuple[AnyAttack, ...]:
        return self.of

    def members(self, classes: int) -> Sequence[Attack]:
        return sorted(self.of, key=passes)


@dataclass(frozen=True)
class AutoAttack(Ensemble):
    """AutoAttack, standard version: Auto-PGD on cross-entropy and towards classes, FAB, Square attack.

    Croce, Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
    ICML 2020, section 5. The class-wise members take the classes with the largest clean logits, at most `targets`. With
    two classes there is one other class and no third logit for the difference of logits ratio; the margin replaces it.

    Attributes:
        steps: number of steps of each Auto-PGD and FAB.
        queries: number of queries of the Square attack.
        targets: number of other classes that Auto-PGD and FAB move towards, if the model has so many.
    """

    name: ClassVar[str] = "autoattack"
    revision: ClassVar[int] = 2
    references: ClassVar[tuple[Reference, ...]] = (AUTOATTACK, FAB_ATTACK, SQUARE)
    threat: ClassVar[ThreatModel] = ThreatModel(
        norms=NORMS, goals=frozenset({"untargeted"}), tasks=frozenset({"multiclass"})
    )
    steps: Count = 100
    queries: Count = 5000
    targets: Count = 9

    def members(self, classes: int) -> Sequence[Attack]:
        # A single output stands for two classes.
        ranks = range(1, min(self.targets, max(classes - 1, 1)) + 1)
        return [
            APGD(steps=self.steps, schedule=self.steps),
            *(APGD(steps=self.steps, schedule=self.steps, loss="dlr", rank=rank) for rank in ranks),
            *(FAB(steps=self.steps, rank=rank) for rank in ranks),
            # The published ensemble leaves the schedule of the squares at twice its queries.
            Square(queries=self.queries, schedule=2 * self.queries),
        ]


def passes(attack: AnyAttack) -> float:
    """Passes for an image, as far as an attack's fields say: twice where they take gradients."""
    if attack.made_of:
        return sum(map(passes, attack.made_of))
    cost = attack.cost(1, 2)
    return cost.forward + 2 * cost.gradient
