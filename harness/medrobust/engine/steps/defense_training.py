"""Running a training defense, iteration by iteration."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch
from torch import Tensor

from ...contracts import (
    AnyAttack,
    Attack,
    Budget,
    BudgetSpec,
    Classifier,
    Goal,
    Model,
    Recipe,
    SampleRNG,
    Training,
    TrainingDefense,
    TransformImages,
    UniversalAttack,
    cumulative_field,
)
from ...errors import DataError, PluginError
from ...grid.targets import Target
from ...results.store import Store
from ...results.verdict import InvalidImagesError, Verified, verify
from ..context import RunContext
from ..crafting.universal import verified_perturbation
from ..data import LoadedPart, mean_norm
from ..models import training
from ..models import weights as models
from ..models.classifier import TorchClassifier


def train_defense(
    target: Target, part: LoadedPart, store: Store, context: RunContext, progress: training.Progress | None
) -> None:
    """Train the model of a target by its defense and keep the weights of every iteration; continues an earlier run.

    Raises:
        PluginError: if the defense ends before the iteration that is asked for.
    """
    begun = time.perf_counter()
    defense, model = target.defense.plugin, target.model.plugin
    assert isinstance(defense, TrainingDefense)
    assert isinstance(model, Model)
    if part.labels is None:
        raise DataError("the data set has no labels; training a defense needs them")
    done = 0
    while store.weights_of(target.weights_id(done + 1)) is not None:
        done += 1
    module = models.load_weights(target, target.weights_id(done) if done else target.fit_id, store)
    module.to(context.device)

    def fit(
        recipe: Recipe, seed: int, *, before: TransformImages | None = None, after: TransformImages | None = None
    ) -> None:
        def attacked(images: Tensor, labels: Tensor, index: Tensor) -> Tensor:
            assert after is not None
            module.eval().requires_grad_(False)
            try:
                return after(images, labels, index)
            finally:
                module.requires_grad_(True)

        module.requires_grad_(True)
        changed = attacked if after is not None else None
        training.train(module, part, None, recipe, seed, device=context.device, before=before, after=changed)

    def classifier(*, live: bool = False) -> Classifier:
        sample = None if live else part.sample(context.device)
        return TorchClassifier(
            module, part.info.task, len(part.info.classes), context.acceleration, sample, model.recipe.precision
        )

    def budget(spec: BudgetSpec) -> Budget:
        return spec.resolve(mean_norm(part, spec.norm) if spec.needs_training_set else None)

    def craft(
        attack: Attack, classifier: Classifier, images: Tensor, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Tensor:
        found = attack.perturb(classifier, images, goal, budget, rng)
        return _verified(attack, lambda: verify(found, images, budget)).images

    def perturbation(
        attack: UniversalAttack, classifier: Classifier, goal: Goal, budget: Budget, rng: SampleRNG
    ) -> Tensor:
        found = attack.fit(classifier, given.images, goal, budget, rng)
        return _verified(attack, lambda: verified_perturbation(found, given.images[0], budget)).images[0]

    def report(step: int, total: int, text: str) -> None:
        if progress is not None:
            progress(step, total, text)

    given = Training(
        module=module,
        images=part.tensor(slice(None), context.device),
        labels=part.labels.to(context.device),
        ids=part.data.ids,
        classes=target.info.classes,
        recipe=model.recipe,
        seed=models.seed_of(target),
        done=done,
        classifier=classifier,
        fit=fit,
        craft=craft,
        perturbation=perturbation,
        budget=budget,
        progress=report,
    )
    iteration = done
    with torch.random.fork_rng(devices=[]):
        for hardened in defense.train(given):
            iteration += 1
            history = json.dumps({"iteration": iteration})
            seconds = time.perf_counter() - begun
            models.keep(target, target.weights_id(iteration), hardened, store, context, history, seconds)
    field = cumulative_field(defense)
    if field is None:
        models.keep(target, target.weights_id(), module, store, context, "{}", time.perf_counter() - begun)
    elif iteration < getattr(defense, field):
        raise PluginError(f"defense '{defense.title}' ended after {iteration} of {getattr(defense, field)} iterations")


def _verified(attack: AnyAttack, verification: Callable[[], Verified]) -> Verified:
    try:
        return verification()
    except InvalidImagesError as error:
        raise PluginError(f"attack '{attack.title}': {error}") from None
