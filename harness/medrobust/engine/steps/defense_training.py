"""Running a training defense, iteration by iteration."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

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
from ..acceleration import PLAIN, Acceleration
from ..context import RunContext
from ..crafting.images import PartImages, crafting_order
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
    done = 0
    while store.weights_of(target.weights_id(done + 1)) is not None:
        done += 1
    module = models.load_weights(target, target.weights_id(done) if done else target.fit_id, store)
    module.to(context.device)
    given = training_of(
        module,
        part,
        model.recipe,
        seed=models.seed_of(target),
        order_seed=target.seed,
        done=done,
        device=context.device,
        acceleration=context.acceleration,
        progress=progress,
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


def training_of(
    module: nn.Module,
    part: LoadedPart,
    recipe: Recipe,
    *,
    seed: int,
    order_seed: int,
    done: int = 0,
    device: str = "cpu",
    acceleration: Acceleration = PLAIN,
    progress: training.Progress | None = None,
) -> Training:
    """What a training defense is given.

    Args:
        module: the model on its device, with the weights after `done` iterations; it is trained in place.
        part: the training images.
        recipe: how the model was trained.
        seed: of the defense's draws.
        order_seed: of the order in which universal attacks are given the images, as in a grid.
        done: iterations that an earlier run has finished.
        device: where to train.
        acceleration: what of the fast path its classifiers use.
        progress: called with (done, total, what).

    Raises:
        DataError: if the images have no labels.
    """
    if part.labels is None:
        raise DataError("the data set has no labels; training a defense needs them")

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
        training.train(module, part, None, recipe, seed, device=device, before=before, after=changed)

    def classifier(*, live: bool = False) -> Classifier:
        sample = None if live else part.sample(device)
        return TorchClassifier(module, part.info.task, len(part.info.classes), acceleration, sample, recipe.precision)

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
        order = torch.from_numpy(permutation)
        found = attack.fit(classifier, shuffled, goal[order.to(goal.labels.device)], budget, rng[order])
        like = torch.zeros(given.images.shape[1:], device=device)
        return _verified(attack, lambda: verified_perturbation(found, like, budget)).images[0]

    # As in a grid: universal attacks are given their images in the order that the seed says.
    permutation = crafting_order(order_seed, part.data.ids)
    shuffled = PartImages(part, device, permutation)

    def report(step: int, total: int, text: str) -> None:
        if progress is not None:
            progress(step, total, text)

    given = Training(
        module=module,
        images=PartImages(part, device),
        labels=part.labels.to(device),
        ids=part.data.ids,
        classes=part.info.classes,
        recipe=recipe,
        seed=seed,
        done=done,
        classifier=classifier,
        fit=fit,
        craft=craft,
        perturbation=perturbation,
        budget=budget,
        progress=report,
    )
    return given


def _verified(attack: AnyAttack, verification: Callable[[], Verified]) -> Verified:
    try:
        return verification()
    except InvalidImagesError as error:
        raise PluginError(f"attack '{attack.title}': {error}") from None
