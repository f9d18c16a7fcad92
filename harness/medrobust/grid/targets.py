"""Targets: models trained on a part of a data set, behind a defense. Surrogates are targets too."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from ..contracts import DataInfo, TrainingDefense, cumulative_field
from ..plugins.builtin import NoDefense
from ..plugins.specs import Spec, without_value
from .identity import REVISIONS, VERDICT_DRAWS, Fields, digest
from .parts import Part


@dataclass(frozen=True, eq=False)
class Target:
    """A model trained on a part of a data set, and its defense."""

    train: Part
    info: DataInfo
    model: Spec
    model_fields: Fields
    defense: Spec
    seed: int
    threads: int
    pretrained: Target | None = None
    """The model whose weights it starts from."""
    shape: tuple[int, int, int] | None = None
    """(channels, height, width) to build for, where it is not that of its images: pre-training for another data set."""

    @cached_property
    def fit_fields(self) -> Fields:
        """What determines the trained weights."""
        return {
            "train": self.train.fields,
            "model": self.model_fields,
            "seed": self.seed,
            "threads": self.threads,
            "revision": REVISIONS["fit"],
            **({"pretrained": self.pretrained.fit_fields} if self.pretrained else {}),
            **({"shape": list(self.shape)} if self.shape else {}),
        }

    @cached_property
    def fit_id(self) -> str:
        return digest(self.fit_fields)

    @cached_property
    def defense_id(self) -> str:
        """Equal for all iterations of one hardening of one model."""
        assert isinstance(self.defense.plugin, TrainingDefense)
        return digest("defense", self.fit_id, without_value(self.defense.plugin), REVISIONS["defense"])

    def weights_id(self, iteration: int | None = None) -> str:
        """Under which the weights are kept: the fit's, or those of an iteration (None: the last) of its hardening."""
        if not isinstance(self.defense.plugin, TrainingDefense):
            return self.fit_id
        field = cumulative_field(self.defense.plugin)
        if iteration is None and field is not None:
            iteration = getattr(self.defense.plugin, field)
        return digest(self.defense_id, iteration or "last")

    @cached_property
    def fields(self) -> Fields:
        draws = {"draws": VERDICT_DRAWS} if self.stochastic else {}
        return {**self.fit_fields, "defense": self.defense.fields, **draws}

    @cached_property
    def id(self) -> str:
        return digest(self.fit_id, self.defense.canonical, *([VERDICT_DRAWS] if self.stochastic else []))

    @cached_property
    def slot(self) -> str:
        # The model as the grid writes it, with the folder of a checkpoint: identity has the file's name and content.
        model = {"threads": self.threads, "seed": self.seed, "shape": self.shape, "model": self.model.described}
        base = self.pretrained.slot if self.pretrained else None
        return digest(self.train.slot, model, self.defense.described, base)

    @property
    def weights(self) -> tuple[str, ...]:
        """Identities of all weights it depends on, those of a pre-training first."""
        base = self.pretrained.weights if self.pretrained else ()
        return tuple(dict.fromkeys((*base, self.fit_id, self.weights_id())))

    @property
    def stochastic(self) -> bool:
        """Whether the model or its defense is random, by its own declaration."""
        return any(plugin.stochastic for plugin in (self.model.plugin, self.defense.plugin))  # type: ignore[attr-defined]

    @property
    def earlier_weights(self) -> tuple[str, ...]:
        """Identities of the iterations before the last of a defense that trains, from which training can go on."""
        defense = self.defense.plugin
        field = cumulative_field(defense) if isinstance(defense, TrainingDefense) else None
        return tuple(self.weights_id(i) for i in range(1, getattr(defense, field))) if field else ()

    @cached_property
    def model_name(self) -> str:
        """The model's name; a checkpoint is called by its file's name and the beginning of its content's hash."""
        return named_by_content(self.model, self.model_fields)

    @property
    def model_label(self) -> str:
        """The model as the grid calls it."""
        return self.model_name if self.model.label == self.model.name else self.model.label

    @property
    def init(self) -> str:
        """What its weights start from: `random`, `imagenet`, a checkpoint's file, or the images of a pre-training."""
        if self.pretrained is not None:
            return f"{self.pretrained.train.dataset.name} {self.pretrained.train.slice}"
        if "checkpoint" in self.model_fields:
            return _content_name(self.model_fields)
        return str(getattr(self.model.plugin, "init", ""))

    def axes(self) -> dict[str, str]:
        """What is told of it in a store, without the aliases of one grid: the names in `TRAINED`."""
        return {
            "dataset": self.train.dataset.name,
            "train_set": str(self.train.slice),
            "model": self.model_name,
            "architecture": self.model.name.partition("(")[0],
            "init": self.init,
            "defense": self.defense.name,
            "seed": str(self.seed),
        }

    @property
    def name(self) -> str:
        """All of that in one line."""
        told = self.axes()
        defense = "" if isinstance(self.defense.plugin, NoDefense) else f" + {told['defense']}"
        part = "" if told["train_set"] == "train" else f" {told['train_set']}"
        return f"{told['model']}{defense} on {told['dataset']}{part}, seed {told['seed']}"

    def describe(self) -> str:
        """For progress and messages."""
        defense = "" if isinstance(self.defense.plugin, NoDefense) else f" + {self.defense.label}"
        number = self.model.plugin.instance  # type: ignore[attr-defined]
        instance = f" (instance {number})" if number else ""
        return f"{self.model_label}{instance}{defense} on {self.train.dataset.label}, seed {self.seed}"


def named_by_content(model: Spec, fields: Fields) -> str:
    """The name of a model whose checkpoint, if it has one, is called `net.safetensors#1a2b3c` in place of its path."""
    if "checkpoint" not in fields:
        return model.name
    path = getattr(model.plugin, "init", "")
    return model.name.replace(f"init={path}", f"init={_content_name(fields)}")


def _content_name(fields: Fields) -> str:
    """A checkpoint by the name of its file and the beginning of its content's hash."""
    return f"{fields['init']}#{fields['checkpoint'][:6]}"
