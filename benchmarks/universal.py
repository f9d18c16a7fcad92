"""Universal attacks side by side: sequential, batched, stochastic and ART's, on one model, in one run.

    MEDROBUST_DATA=/data python benchmarks/universal.py --data xray --model small-resnet --images 600

Trains the model, then crafts with each algorithm in turn for each seed, so that what else the machine does falls on all
alike. ART takes one image at a time; it gets the images, radius, step and passes of the others, and its own random
order. The last line is the paired difference batched - sequential of the fooling rate on held-out images, with its
95 % interval over the seeds (Student's t).
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy import stats
from torch import Tensor

from medrobust import (
    Budget,
    BudgetSpec,
    Dataset,
    DataSource,
    Goal,
    Length,
    Model,
    Recipe,
    SampleRNG,
    Shape,
    Targeted,
    UniversalAttack,
    Untargeted,
)
from medrobust.engine.context import default_data_root
from medrobust.engine.data import LoadedPart, convert, mean_norm
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.engine.models.training import train
from medrobust.engine.splits import load_split
from medrobust_attacks import UAP, RandomUAP, StochasticUAP
from medrobust_datasets.isic2018 import Isic2018
from medrobust_datasets.kermany import KermanyXray
from medrobust_models import SmallCNN, SmallResNet

DATA: dict[str, Dataset] = {"xray": KermanyXray(size=64), "skin": Isic2018(size=64)}
MODELS: dict[str, Model] = {"small-cnn": SmallCNN(), "small-resnet": SmallResNet()}
STEP = Length.parse("0.0024@/128")


@dataclass(frozen=True)
class Setting:
    """What all algorithms are given."""

    classifier: TorchClassifier
    crafting: Tensor
    held_out: Tensor
    budget: Budget
    target: int | None
    passes: int

    def goal(self, images: Tensor) -> Goal:
        """Towards the target, or away from the model's own predictions."""
        if self.target is not None:
            return Targeted(torch.full((len(images),), self.target))
        return Untargeted(self.classifier.logits(images).argmax(dim=1))

    def rate(self, perturbation: Tensor) -> float:
        """Share of the held-out images that reach the goal."""
        logits = [self.classifier.logits(part + perturbation) for part in self.held_out.split(128)]
        return float(self.goal(self.held_out).reached(torch.cat(logits)).double().mean())


def load(dataset: Dataset, split: str, cache: Path) -> LoadedPart:
    source = DataSource(default_data_root())
    info = dataset.describe(source)
    return LoadedPart(load_split(dataset, repr(dataset), split, source, cache), info, (info.channels, *info.size))


def choose(part: LoadedPart, count: int, *, balanced: bool) -> Tensor:
    """Random images of a part; `balanced` takes as many of each class as the rarest has, where classes are two.

    hirano2021's test set of X-rays is balanced; on an unbalanced one the fooling rate hangs on which class the
    perturbation happens to drive images to.
    """
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(len(part), generator=generator)
    labels = part.labels
    if balanced and labels is not None and len(part.info.classes) == 2:
        each = min(int(labels.bincount().min()), count // 2)
        order = torch.cat([order[labels[order] == k][:each] for k in range(2)])
    return convert(part.data.images[np.sort(order[:count].numpy())], part.shape)


def prepare(arguments: argparse.Namespace) -> Setting:
    dataset, model = DATA[arguments.data], MODELS[arguments.model]
    cache = Path(tempfile.gettempdir()) / "medrobust-benchmark"
    training, validation, test = (load(dataset, split, cache) for split in ("train", "val", "test"))
    classes = len(training.info.classes)
    torch.manual_seed(0)
    module = model.build(Shape(*training.shape, classes))
    train(module, training, validation, Recipe(epochs=arguments.epochs), 0)
    classifier = TorchClassifier(module, "multiclass", classes)
    spec = BudgetSpec.parse(f"{arguments.norm}:zeta={arguments.zeta}% box=none")
    setting = Setting(
        classifier,
        choose(training, arguments.images, balanced=True),
        choose(test, 1000, balanced=True),
        spec.resolve(mean_norm(training, spec.norm)),
        arguments.target,
        arguments.passes,
    )
    assert test.labels is not None
    held_out = convert(test.data.images[:], test.shape)
    predicted = torch.cat([classifier.logits(part) for part in held_out.split(128)]).argmax(dim=1)
    accuracy = float((predicted == test.labels).double().mean())
    print(
        f"{dataset.name} {arguments.model}: test accuracy {accuracy:.3f}; crafting on {len(setting.crafting)}, "
        f"held out {len(setting.held_out)}; {spec} = {setting.budget.eps:.4f}, step {STEP}, {arguments.passes} passes, "
        f"{torch.get_num_threads()} thread(s)",
        flush=True,
    )
    return setting


def ours(setting: Setting, attack: UniversalAttack, seed: int) -> Tensor:
    streams = SampleRNG.for_ids(seed, [str(i) for i in range(len(setting.crafting))])
    # Without a target the attacks look at no label: they take the model's own predictions themselves.
    goal = Untargeted if setting.target is None else Targeted
    labels = torch.full((len(setting.crafting),), setting.target or 0)
    return attack.fit(setting.classifier, setting.crafting, goal(labels), setting.budget, streams)


def art(setting: Setting, seed: int) -> Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from art.attacks.evasion import TargetedUniversalPerturbation, UniversalPerturbation
        from art.estimators.classification import PyTorchClassifier
    random.seed(seed)
    x, classes = setting.crafting.numpy(), setting.classifier.num_classes
    module = setting.classifier.module
    wrapped = PyTorchClassifier(module, torch.nn.CrossEntropyLoss(), x.shape[1:], classes, device_type="cpu")
    step = STEP.resolve()
    options = {
        "attacker": "fgsm",
        "attacker_params": {"eps": step, "eps_step": step, "targeted": setting.target is not None},
        "delta": 1e-6,
        "max_iter": setting.passes,
        "eps": setting.budget.eps,
        "norm": 2 if setting.budget.norm == "l2" else np.inf,
    }
    if setting.target is None:
        attack = UniversalPerturbation(wrapped, verbose=False, **options)
        attack.generate(x)
    else:
        attack = TargetedUniversalPerturbation(wrapped, **options)
        attack.generate(x, np.eye(classes, dtype=np.float32)[np.full(len(x), setting.target)])
    return torch.from_numpy(np.asarray(attack.noise, dtype=np.float32))[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=DATA, default="xray")
    parser.add_argument("--model", choices=MODELS, default="small-resnet")
    parser.add_argument("--images", type=int, default=600, help="crafting images")
    parser.add_argument("--epochs", type=int, default=6, help="of training the model")
    parser.add_argument("--norm", choices=["l2", "linf"], default="l2")
    parser.add_argument("--zeta", type=float, default=4.0, help="percent of the mean norm of the training images")
    parser.add_argument("--passes", type=int, default=15)
    parser.add_argument("--target", type=int, default=None, help="index of a target class")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    setting = prepare(arguments)
    rates, seconds = compare(setting, arguments.passes, arguments.seeds)
    report(rates, seconds)


def compare(setting: Setting, passes: int, seeds: int) -> tuple[dict[str, list[float]], dict[str, list[float]]]:
    """Rates on held-out images and seconds, by algorithm, one for each seed."""
    algorithms: dict[str, Callable[[int], Tensor]] = {
        "random": lambda seed: ours(setting, RandomUAP(), seed),
        "sequential": lambda seed: ours(setting, UAP(step_size=STEP, passes=passes), seed),
        "batched": lambda seed: ours(setting, UAP(order="batched", step_size=STEP, passes=passes), seed),
        "sgd-uap": lambda seed: ours(setting, StochasticUAP(), seed),
        "art": lambda seed: art(setting, seed),
    }
    rates: dict[str, list[float]] = {name: [] for name in algorithms}
    seconds: dict[str, list[float]] = {name: [] for name in algorithms}
    art(Setting(setting.classifier, setting.crafting[:2], setting.held_out, setting.budget, setting.target, 1), 0)
    for seed in range(seeds):
        for name, run in algorithms.items():
            begun = time.perf_counter()
            perturbation = run(seed)
            seconds[name].append(time.perf_counter() - begun)
            rates[name].append(setting.rate(perturbation))
    return rates, seconds


def report(rates: dict[str, list[float]], seconds: dict[str, list[float]]) -> None:
    print(f"{'algorithm':<12}{'rate %':>8}{'min':>7}{'max':>7}{'seconds':>10}{'ART / it':>10}")
    for name, values in rates.items():
        mean, low, high = (100 * v for v in (np.mean(values), min(values), max(values)))
        ratio = np.median(np.divide(seconds["art"], seconds[name]))
        print(f"{name:<12}{mean:8.1f}{low:7.1f}{high:7.1f}{np.median(seconds[name]):10.2f}{ratio:10.1f}")
    if len(rates["batched"]) < 2:
        return
    difference = 100 * np.subtract(rates["batched"], rates["sequential"])
    error = stats.sem(difference)
    half = float(stats.t.ppf(0.975, len(difference) - 1) * error) if error > 0 else 0.0
    mean = float(difference.mean())
    print(f"batched - sequential: {mean:+.2f} points, 95 % interval [{mean - half:+.2f}, {mean + half:+.2f}]")


if __name__ == "__main__":
    main()
