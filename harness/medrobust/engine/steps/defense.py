"""Training a defended model, iteration by iteration."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from ...contracts import Model, TrainingDefense
from ...grid.plan import Done
from ...grid.targets import Target
from ...results.store import Store
from ..context import RunContext
from ..models.loading import part_of
from ..models.training import Progress
from ..sizes import Sizes
from .base import Outcome, Step
from .defense_training import train_defense
from .work import Work


@dataclass(frozen=True, eq=False, kw_only=True)
class DefenseStep(Step):
    """Run a training defense on a trained model.

    `target` is at the last iteration asked for; earlier ones are kept on the way.
    """

    kind: ClassVar[str] = "defense"
    target: Target

    @property
    def threads(self) -> int:
        return self.target.threads

    def work(self, sizes: Sizes) -> list[Work] | None:
        size, defense, model = sizes.of(self.target.train), self.target.defense.plugin, self.target.model.plugin
        assert isinstance(defense, TrainingDefense)
        assert isinstance(model, Model)
        if size is None:
            return None
        passes = defense.cost(size.images, len(self.target.info.classes))
        oversampled = size.epoch(model.recipe) / max(size.images, 1)
        return [Work(self.target, replace(passes, training=passes.training * oversampled))]

    def remaining(self, done: Done) -> DefenseStep | None:
        return None if self.target.weights_id() in done.weights else self

    def describe(self) -> str:
        return f"train {self.target.describe()}"

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        part = part_of(self.target.train, self.target, context, progress)
        train_defense(self.target, part, store, context, progress)
        return ()
