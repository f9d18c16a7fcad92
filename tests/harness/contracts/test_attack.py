"""What the host must know of an attack before it runs it: its batches and its use of global generators."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from medrobust import AnyAttack, Attack, DerivedAttack, Ensemble, ThreatModel, UniversalAttack
from medrobust.contracts import batch_of, batch_sizes, uses_global_rng


@dataclass(frozen=True)
class Plain(Attack):
    name: ClassVar[str] = "plain"
    threat: ClassVar[ThreatModel] = ThreatModel(norms={"linf"})

    def perturb(self, *given: Any) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Batched(Plain):
    batch_size: ClassVar[int | None] = 16


@dataclass(frozen=True)
class Drawing(Plain):
    global_rng: ClassVar[bool] = True


@dataclass(frozen=True)
class DrawingInBatches(Batched):
    global_rng: ClassVar[bool] = True


@dataclass(frozen=True)
class Rounded(DerivedAttack):
    name: ClassVar[str] = "rounded"
    of: AnyAttack

    def derive(self, *given: Any) -> Tensor:
        raise NotImplementedError


@dataclass(frozen=True)
class Both(Ensemble):
    name: ClassVar[str] = "both"
    of: tuple[Attack, ...]

    @property
    def made_of(self) -> tuple[AnyAttack, ...]:
        return self.of

    def members(self, classes: int) -> tuple[Attack, ...]:
        return self.of


@dataclass(frozen=True)
class Universal(UniversalAttack):
    name: ClassVar[str] = "universal"
    batch_size: ClassVar[int | None] = 16
    global_rng: ClassVar[bool] = True

    def fit(self, *given: Any) -> Tensor:
        raise NotImplementedError


def test_batches_are_free_unless_an_attack_says_otherwise() -> None:
    assert batch_of(Plain()) is None
    assert batch_of(Batched()) == 16


def test_global_generators_are_seeded_for_batches_of_a_known_size() -> None:
    assert (batch_of(Drawing()), batch_of(DrawingInBatches())) == (32, 16)
    assert [uses_global_rng(a) for a in (Plain(), Batched(), Drawing())] == [False, False, True]


def test_what_an_attack_is_made_of_counts() -> None:
    assert batch_of(Rounded(Rounded(Batched()))) == 16
    assert uses_global_rng(Both((Plain(), Drawing())))
    assert batch_sizes(Both((Drawing(), Plain(), Batched()))) == {16, 32}


def test_a_universal_attack_sees_its_images_at_once() -> None:
    assert batch_of(Universal()) is None
    assert uses_global_rng(Rounded(Universal()))
