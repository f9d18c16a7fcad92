"""What the benchmark attacks: trained networks, images they get right, and a budget."""

from __future__ import annotations

import copy
import hashlib
import json
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from medrobust import Budget, Dataset, DataSource, Model, Recipe, Shape
from medrobust.engine.data import LoadedPart
from medrobust.engine.models.training import train
from medrobust_datasets import PhantomCXR, PhantomDerm, PhantomFundus
from medrobust_models import SmallResNet, TorchvisionModel

DATASETS: dict[str, type[PhantomCXR] | type[PhantomDerm] | type[PhantomFundus]] = {
    "phantom-cxr": PhantomCXR,
    "phantom-derm": PhantomDerm,
    "phantom-fundus": PhantomFundus,
}


EVIDENCE = 8.0
"""Grey levels in which the phantoms show their classes: learnt within a short training, and broken at 2/255 or so."""


@dataclass(frozen=True)
class Stage:
    """A part of a training.

    Attributes:
        size: side of the images in pixels.
        train: training images.
        epochs: passes over them.
        batch_size: images a step.
    """

    size: int
    train: int
    epochs: int
    batch_size: int = 64


@dataclass(frozen=True)
class Network:
    """A network and how briefly it is trained.

    Attributes:
        model: `small-resnet` or a name of torchvision.
        dataset: a phantom.
        stages: of its training; the last at the size of the images attacked, those before it smaller and cheaper.
        images: images attacked, all classified correctly when clean.
    """

    model: str
    dataset: str
    stages: tuple[Stage, ...]
    images: int

    @property
    def size(self) -> int:
        return self.stages[-1].size

    @property
    def label(self) -> str:
        return f"{self.model} at {self.size}"

    def plugin(self) -> Model:
        return SmallResNet() if self.model == "small-resnet" else TorchvisionModel(architecture=self.model)

    def data(self, stage: Stage) -> Dataset:
        counts = {"train": stage.train, "val": 1, "test": max(60, 4 * self.images)}
        return DATASETS[self.dataset](size=stage.size, evidence=EVIDENCE, **counts)


NETWORKS: dict[str, Network] = {
    "small-resnet": Network("small-resnet", "phantom-cxr", (Stage(32, 1200, 8),), 256),
    "squeezenet1_1": Network("squeezenet1_1", "phantom-derm", (Stage(64, 800, 8, 32),), 64),
    "densenet121": Network("densenet121", "phantom-cxr", (Stage(64, 800, 6, 32),), 24),
    "inception_v3": Network("inception_v3", "phantom-derm", (Stage(96, 400, 6),), 16),
    "resnet50": Network("resnet50", "phantom-cxr", (Stage(96, 640, 4, 16), Stage(224, 192, 2, 8)), 4),
}
"""Few images and short trainings, so that the whole benchmark takes minutes on two cores."""


@dataclass(frozen=True)
class Problem:
    """A trained module, the images to attack, and how far.

    Attributes:
        module: the original, in evaluation mode, float32; whoever attacks it takes a copy.
        images: float32 (n, c, h, w) in [0, 1], classified as `labels` by the module.
        labels: their classes (n,).
        classes: number of classes.
        budget: linf.
        accuracy: share of held-out images that the module gets right.
        batch_size: images a batch, the same for everybody.
    """

    module: nn.Module
    images: Tensor
    labels: Tensor
    classes: int
    budget: Budget
    accuracy: float = 1.0
    batch_size: int = 0

    @property
    def eps(self) -> float:
        assert self.budget.eps is not None
        return self.budget.eps

    @property
    def device(self) -> torch.device:
        return self.images.device

    def first(self, images: int, batch_size: int) -> Problem:
        """The problem with its first images only, in batches of this size."""
        return replace(self, images=self.images[:images], labels=self.labels[:images], batch_size=batch_size)

    def copy(self) -> nn.Module:
        """A module of one's own, as a user loads it: evaluation mode, parameters not frozen."""
        return copy.deepcopy(self.module).eval().requires_grad_(True)

    def batches(self) -> list[tuple[Tensor, Tensor]]:
        """(images, labels) batch by batch."""
        return list(zip(self.images.split(self.batch_size), self.labels.split(self.batch_size), strict=True))

    def robust_accuracy(self, adversarial: Tensor) -> float:
        """Share of images still classified correctly by the original module in float32.

        Raises:
            ValueError: if they leave the budget or the box.
        """
        longest = float((adversarial - self.images).abs().max())
        if not torch.isfinite(adversarial).all() or longest > self.eps + 1e-6:
            raise ValueError(f"adversarial images leave the budget: linf {longest:.6g}, allowed {self.eps:.6g}")
        if float(adversarial.min()) < 0 or float(adversarial.max()) > 1:
            raise ValueError("adversarial images leave the box [0, 1]")
        with torch.no_grad():
            hits = [self.module(x).argmax(dim=1) == y for x, y in zip(*self._judged(adversarial), strict=True)]
        return float(torch.cat(hits).float().mean())

    def _judged(self, adversarial: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        return adversarial.split(self.batch_size), self.labels.split(self.batch_size)


def load(network: Network, *, cache: Path | None = None, device: str = "cpu", eps: float = 1.0) -> Problem:
    """The problem of a network: trained if it is not in the cache, else read; `eps` in grey levels of 255.

    Raises:
        ValueError: if the trained network gets too few images right.
    """
    plugin, data = network.plugin(), network.data(network.stages[-1])
    info = data.describe(DataSource(None))
    shape = (info.channels, *info.size)
    torch.manual_seed(0)
    module = plugin.build(Shape(*shape, len(info.classes)))
    file = (
        cache or Path(tempfile.gettempdir()) / "medrobust-benchmarks"
    ) / f"{network.model}-{_key(network)}.safetensors"
    if file.exists():
        module.load_state_dict(load_file(file))
    else:
        for stage in network.stages:
            part = LoadedPart(network.data(stage).load("train", DataSource(None)), info, (shape[0], *[stage.size] * 2))
            recipe = Recipe(epochs=stage.epochs, batch_size=stage.batch_size, select_on="last")
            train(module, part, None, recipe, 0)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file({k: v.contiguous() for k, v in module.state_dict().items()}, file)
    module = module.to(device).eval().requires_grad_(False)
    part = LoadedPart(data.load("test", DataSource(None)), info, shape)
    images, labels = part.tensor(slice(None), device), part.labels
    assert labels is not None
    with torch.no_grad():
        right = torch.cat([module(x).argmax(dim=1) for x in images.split(16)]).cpu() == labels
    chosen = right.nonzero().flatten()[: network.images]
    if len(chosen) < network.images:
        raise ValueError(f"{network.label} gets {len(chosen)} of {len(right)} images right; train it longer")
    return Problem(
        module,
        images[chosen.to(device)],
        labels[chosen].to(device),
        len(info.classes),
        Budget("linf", eps / 255),
        accuracy=float(right.float().mean()),
    )


def _key(network: Network) -> str:
    """What the weights depend on."""
    trained = asdict(replace(network, images=0))
    return hashlib.sha256(json.dumps([trained, torch.__version__]).encode()).hexdigest()[:12]
