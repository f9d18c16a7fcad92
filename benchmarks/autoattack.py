"""AutoAttack in linf and l2 beside those of torchattacks and ART, on a network trained adversarially.

    uv run --with torchattacks python benchmarks/autoattack.py

See README.md in this folder for what is measured and how.
"""

from __future__ import annotations

import argparse
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from contestants import make_classifier
from measuring import hardware, versions
from minimal import Counted
from problems import Problem
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from torch import Tensor

from medrobust import Budget, DataSource, SampleRNG, Shape, Untargeted
from medrobust.engine.crafting.attack import run_attack
from medrobust.engine.data import LoadedPart
from medrobust_attacks import AutoAttack
from medrobust_attacks.geometry import project, steepest
from medrobust_datasets import PhantomCXR
from medrobust_models import SmallResNet

SIZE, CLASSES, IMAGES = 32, 4, 600
RADII = {"linf": 4 / 255, "l2": 0.5}
Run = Callable[[Problem], tuple[Tensor, int, int]]


def data(split: str) -> tuple[Tensor, Tensor]:
    """Images of four classes, as the published difference of logits needs, and their labels."""
    phantoms = PhantomCXR(size=SIZE, evidence=48.0, classes=CLASSES, train=IMAGES, val=1, test=400)
    info = phantoms.describe(DataSource(None))
    part = LoadedPart(phantoms.load(split, DataSource(None)), info, (info.channels, SIZE, SIZE))
    assert part.labels is not None
    return part.tensor(slice(None), "cpu"), part.labels


def trained(norm: str, cache: Path, epochs: int) -> Problem:
    """A small network after adversarial training (Madry et al., 2018), with the images that it gets right."""
    budget = Budget(norm, RADII[norm])  # type: ignore[arg-type]
    images, labels = data("test")
    torch.manual_seed(0)
    module = SmallResNet().build(Shape(images.shape[1], SIZE, SIZE, CLASSES))
    file = cache / f"adversarial-{norm}-{epochs}.safetensors"
    if file.exists():
        module.load_state_dict(load_file(file))
    else:
        fit(module, budget, epochs)
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(module.state_dict(), file)
    module = module.eval().requires_grad_(False)
    with torch.no_grad():
        right = module(images).argmax(dim=1) == labels
    return Problem(module, images[right], labels[right], CLASSES, budget, float(right.float().mean()))


def fit(module: torch.nn.Module, budget: Budget, epochs: int) -> None:
    """Epochs on images attacked by five steps of PGD."""
    images, labels = data("train")
    assert budget.eps is not None
    optimizer = torch.optim.Adam(module.parameters(), 2e-3)
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(50):
            module.eval()
            x, y, point = images[chosen], labels[chosen], images[chosen].clone()
            for _ in range(5):
                leaf = point.clone().requires_grad_(True)
                (gradient,) = torch.autograd.grad(F.cross_entropy(module(leaf), y, reduction="sum"), leaf)
                point = project(point.add_(steepest(gradient, budget.norm), alpha=budget.eps / 3), x, budget)
            module.train()
            optimizer.zero_grad()
            F.cross_entropy(module(point), y).backward()
            optimizer.step()


def ours(problem: Problem) -> tuple[Tensor, int, int]:
    """medrobust with `stop = "success"`, as the others stop."""
    classifier = make_classifier(problem)
    draws = SampleRNG.for_ids(0, [str(i) for i in range(len(problem.images))])
    goal = Untargeted(problem.labels)
    ((_, found),) = run_attack(
        AutoAttack(), {None}, "success", [classifier], problem.images, goal, problem.budget, draws
    )
    return found, classifier.forward_passes, classifier.backward_passes


def torchattacks(problem: Problem) -> tuple[Tensor, int, int]:
    import torchattacks as library

    module = Counted(problem.copy()).eval()
    options = {"norm": {"linf": "Linf", "l2": "L2"}[problem.budget.norm], "eps": problem.eps, "seed": 0}
    # Its own `AutoAttack` takes ten steps, the published one a hundred.
    members = [
        library.APGD(module, steps=100, **options),
        library.APGDT(module, steps=100, n_classes=problem.classes, **options),
        library.FAB(module, steps=100, multi_targeted=True, n_classes=problem.classes, **options),
        library.Square(module, n_queries=5000, resc_schedule=False, **options),
    ]
    found = library.MultiAttack(members)(problem.images, problem.labels).detach()
    return found, module.forward_passes, module.backward_passes


def art(problem: Problem) -> tuple[Tensor, int, int]:
    import numpy as np
    from art.attacks.evasion import AutoAttack as Library
    from art.estimators.classification import PyTorchClassifier

    module, loss = Counted(problem.copy()).eval(), torch.nn.CrossEntropyLoss()
    shape = tuple(problem.images.shape[1:])
    classifier = PyTorchClassifier(module, loss, shape, problem.classes, clip_values=(0, 1), device_type="cpu")
    norm = {"linf": np.inf, "l2": 2}[problem.budget.norm]
    attack = Library(classifier, norm=norm, eps=problem.eps, eps_step=problem.eps / 4, batch_size=len(problem.images))
    found = attack.generate(problem.images.numpy(), problem.labels.numpy())
    return torch.from_numpy(found), module.forward_passes, module.backward_passes


def robust(problem: Problem, found: Tensor) -> int:
    """How many images the original network still gets right; those outside of budget or box count as right."""
    moved = (found - problem.images).flatten(1)
    size = moved.abs().amax(dim=1) if problem.budget.norm == "linf" else moved.norm(dim=1)
    fair = (size <= problem.eps * (1 + 1e-4) + 1e-6) & (found.flatten(1).amin(1) >= 0) & (found.flatten(1).amax(1) <= 1)
    with torch.no_grad():
        return int(((problem.module(found).argmax(dim=1) == problem.labels) | ~fair).sum())


CONTESTANTS: dict[str, Run] = {"medrobust": ours, "torchattacks": torchattacks, "ART": art}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--norm", action="append", choices=sorted(RADII))
    parser.add_argument("--library", action="append", choices=sorted(CONTESTANTS))
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "medrobust-benchmarks")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    console = Console(width=110)
    table = Table(title=f"{hardware('cpu', torch.get_num_threads())}\n{versions()}", title_justify="left")
    for heading in ("budget", "library", "robust", "wall s", "CPU s", "forward", "backward"):
        table.add_column(heading, justify="left" if heading in ("budget", "library") else "right")
    apart = 0
    for norm in options.norm or RADII:
        problem = trained(norm, options.cache, options.epochs)
        problem = problem.first(options.images, options.images)
        console.print(f"{norm}: {problem.accuracy:.0%} of held-out images are classified correctly", style="dim")
        left: list[int] = []
        for name in options.library or CONTESTANTS:
            wall, cpu = time.perf_counter(), time.process_time()
            found, forward, backward = CONTESTANTS[name](problem)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            left.append(robust(problem, found))
            told = (f"{norm} {problem.eps:.4g}", name, f"{left[-1]} of {len(problem.images)}")
            table.add_row(*told, f"{wall:.1f}", f"{cpu:.1f}", str(forward), str(backward))
            console.print(" ".join(told), f"{wall:.1f} s", style="dim")
        table.add_section()
        apart = max(apart, *(abs(n - left[0]) for n in left))
    console.print(table)
    return int(apart > 1)


if __name__ == "__main__":
    raise SystemExit(main())
