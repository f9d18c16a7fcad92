"""Parts and targets of a block, each built once however many cells rest on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..contracts import DataInfo, Model, Pretraining
from ..errors import DataUnavailable, ModelError
from ..plugins.builtin import NoDefense
from ..plugins.registry import Registry
from ..plugins.specs import Spec, spec_of
from .blocks import PartSpec, SurrogatePatch
from .metadata import MetadataCache
from .parts import Part
from .slices import Slice
from .targets import Target


class Builder:
    """Builds what cells rest on.

    Args:
        metadata: what is known of data sets and models.
        split_seed: seed of the permutation that slices cut.
        threads: of a process that trains.
    """

    def __init__(self, metadata: MetadataCache, split_seed: int, threads: int) -> None:
        self.metadata = metadata
        self.split_seed = split_seed
        self.threads = threads
        self._parts: dict[tuple[str, Slice], Part] = {}
        self._targets: dict[tuple[str, Slice, str, str, int], Target] = {}
        self._instances: dict[tuple[str, int], Spec] = {}

    def part(self, spec: PartSpec, own: Spec) -> Part:
        """A slice of a data set, `own` where the slice names no other.

        Raises:
            DataUnavailable: if files or the split are missing.
        """
        dataset = spec.dataset or own
        key = (dataset.canonical, spec.slice)
        if key not in self._parts:
            info, fields = self.metadata.data(dataset)
            if spec.slice.split not in info.splits:
                raise DataUnavailable(
                    f"data set '{dataset.label}' has no split '{spec.slice.split}'; it has {', '.join(info.splits)}"
                )
            self._parts[key] = Part(dataset, fields, spec.slice, self.split_seed)
        return self._parts[key]

    def target(self, dataset: Spec, train_set: Slice, model: Spec, defense: Spec, seed: int) -> Target:
        """A model trained on a slice, with its defense.

        Raises:
            DataUnavailable: if data or weights are missing.
            ModelError: if the recipe names a slice that is none.
        """
        key = (dataset.canonical, train_set, model.canonical, defense.canonical, seed)
        if key not in self._targets:
            info, _ = self.metadata.data(dataset)
            if train_set.split not in info.splits and not _is_trained(model):
                # Nothing is learned from it: it only says of which images a radius in percent is a share.
                train_set = Slice(info.splits[0])
            train = self.part(PartSpec(train_set), dataset)
            fields = self.metadata.model(model)
            pretrained = self._pretrained(info, model, seed)
            target = Target(train, info, model, fields, defense, seed, self.threads, pretrained)
            for each in (target, pretrained):
                if each is not None:
                    selection_part(each)
            self._targets[key] = target
        return self._targets[key]

    def source(self, target: Target, surrogate: SurrogatePatch, own: Mapping[str, Any]) -> Target:
        """The model that is attacked in a target's place; `own` has the target's values by axis.

        Raises:
            DataUnavailable: if data or weights are missing.
        """
        keys = {**own, **dict(surrogate.patch)}
        if surrogate.instance is None:
            return self.target(**keys) if surrogate.patch else target
        wanted = (0, 1) if surrogate.instance == "other" else (surrogate.instance,)
        for instance in wanted:
            source = self.target(**{**keys, "model": self._instance(keys["model"], instance)})
            if surrogate.instance != "other" or source.id != target.id:
                return source
        raise AssertionError("two instances cannot both be the target")

    def _instance(self, model: Spec, instance: int) -> Spec:
        """The same model as another independent repetition."""
        key = (model.canonical, instance)
        if key not in self._instances:
            self._instances[key] = model.replaced(self.metadata.registry, instance=instance)
        return self._instances[key]

    def _pretrained(self, info: DataInfo, model: Spec, seed: int) -> Target | None:
        """The target that a model's initial weights come from, built for the shape it is tuned at."""
        base = pretraining_of(model, self.metadata.registry)
        if base is None:
            return None
        init = model.plugin.init  # type: ignore[attr-defined]
        dataset = spec_of(init.pretrain_on, self.metadata.registry)
        return Target(
            self.part(PartSpec(_slice(init.train_set, "init.train_set")), dataset),
            self.metadata.data(dataset)[0],
            base,
            self.metadata.model(base),
            spec_of(NoDefense(), self.metadata.registry),
            seed,
            self.threads,
            shape=(info.channels, *info.size),
        )


def pretraining_of(model: Spec, registry: Registry) -> Spec | None:
    """The model that is trained first where another starts from a pre-training."""
    assert isinstance(model.plugin, Model)
    init = model.plugin.init
    if not isinstance(init, Pretraining):
        return None
    # Like published weights, those of a pre-training are one set, from which every instance starts.
    return model.replaced(registry, init="random", instance=0, recipe=init.recipe or model.plugin.recipe)


def _is_trained(model: Spec) -> bool:
    assert isinstance(model.plugin, Model)
    return model.plugin.recipe.epochs > 0 or isinstance(model.plugin.init, Pretraining)


def selection_part(target: Target) -> Part | None:
    """The slice on which the epoch is chosen; None where none is, or nothing is trained.

    Raises:
        ModelError: if the data set has no such slice.
    """
    assert isinstance(target.model.plugin, Model)
    recipe = target.model.plugin.recipe
    if recipe.select_on == "last" or not recipe.epochs:
        return None
    part = _slice(recipe.select_on, "recipe.select_on")
    if part.split not in target.info.splits:
        raise ModelError(
            f"recipe.select_on: data set '{target.train.dataset.label}' has no split '{part.split}'; "
            f'it has {", ".join(target.info.splits)} (select_on = "last" keeps the last epoch)'
        )
    return Part(target.train.dataset, target.train.data, part, target.train.split_seed)


def _slice(text: str, where: str) -> Slice:
    try:
        return Slice.parse(text)
    except ValueError as error:
        raise ModelError(f"{where}: {error}") from None
