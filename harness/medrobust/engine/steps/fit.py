"""Training a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ...grid.plan import Done
from ...grid.targets import Target
from ...results.store import Store
from ..context import RunContext
from ..models import weights as models
from ..models.training import Progress
from ..sizes import Sizes
from .base import History, Outcome, Step
from .work import Work, training_work


@dataclass(frozen=True, eq=False, kw_only=True)
class FitStep(Step):
    """Train the model of a target by its recipe and keep the weights."""

    kind: ClassVar[str] = "fit"
    target: Target

    @property
    def threads(self) -> int:
        return self.target.threads

    def work(self, sizes: Sizes) -> list[Work] | None:
        return training_work(self.target, sizes)

    def seconds(self, history: History) -> float | None:
        return history.fits.get((self.target.train.dataset.name, self.target.model.name))

    def remaining(self, done: Done) -> FitStep | None:
        return None if self.target.fit_id in done.weights else self

    def describe(self) -> str:
        return f"fit {self.target.model.label} on {self.target.train.dataset.label}, seed {self.target.seed}"

    def run(self, store: Store, context: RunContext, progress: Progress | None) -> tuple[Outcome, ...]:
        models.fit(self.target, store, context, progress)
        return ()
