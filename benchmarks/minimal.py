"""Attacks that look for the smallest perturbation, beside those of foolbox and ART: length, time and passes.

    uv run python benchmarks/minimal.py

See README.md in this folder for what is measured and how.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from contestants import make_classifier
from measuring import hardware
from problems import NETWORKS, Problem, load
from rich.console import Console
from rich.table import Table
from scipy.stats import wilcoxon
from torch import Tensor, nn

from medrobust import Attack, Budget, Loss, SampleRNG, Untargeted
from medrobust.engine.models.classifier import TorchClassifier
from medrobust_attacks import CWL2, DDN, FMN, DeepFool

Run = Callable[[Problem], tuple[Tensor, int, int]]
"""Adversarial images, and how many images passed forward and backward."""
MINIMAL = Budget("l2", None)
ALPHA = 0.01
NEARLY = 1e-3
"""Lengths whose logarithms differ by less are equal."""
LIMIT_BAR = 1.10
"""Time over that of the bare passes."""


@dataclass
class Passes:
    """The passes of a run in their order: images, and for how many losses a gradient was taken."""

    made: list[tuple[int, int]] = field(default_factory=list)

    def record(self, classifier: TorchClassifier) -> None:
        """Note the passes that a classifier makes from now on."""
        logits, gradients = classifier.logits, classifier.gradients

        def noted_logits(images: Tensor) -> Tensor:
            self.made.append((len(images), 0))
            return logits(images)

        def noted_gradients(images: Tensor, losses: Sequence[Loss]) -> Any:
            self.made.append((len(images), len(losses)))
            return gradients(images, losses)

        classifier.logits, classifier.gradients = noted_logits, noted_gradients  # type: ignore[method-assign]


def ours(attack: Attack) -> tuple[Run, Run]:
    """medrobust, and the bare passes of its last run: the prepared network in a loop without any attack."""
    passes = Passes()

    def run(problem: Problem) -> tuple[Tensor, int, int]:
        classifier = make_classifier(problem)
        passes.made.clear()
        passes.record(classifier)
        goal, rng = Untargeted(problem.labels), SampleRNG.for_ids(0, [str(i) for i in range(len(problem.images))])
        found = attack.perturb(classifier, problem.images, goal, MINIMAL, rng)
        return found, classifier.forward_passes, classifier.backward_passes

    def limit(problem: Problem) -> tuple[Tensor, int, int]:
        prepared = make_classifier(problem)._prepared
        for count, losses in passes.made:
            leaf = problem.images[:count].contiguous(memory_format=prepared.memory_format)
            leaf.requires_grad_(bool(losses))
            with torch.set_grad_enabled(bool(losses)):
                logits = prepared.module(leaf)
            for number in range(losses):
                torch.autograd.grad(logits[:, number].sum(), leaf, retain_graph=number + 1 < losses)
        return problem.images, sum(n for n, _ in passes.made), sum(n * k for n, k in passes.made)

    return run, limit


class Counted(nn.Module):
    """A network that counts the images that pass forward and backward."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner, self.forward_passes, self.backward_passes = inner, 0, 0

    def forward(self, images: Tensor) -> Tensor:
        self.forward_passes += len(images)
        logits: Tensor = self.inner(images)
        if logits.requires_grad:
            logits.register_hook(lambda gradient: self._count(len(gradient)))
        return logits

    def _count(self, images: int) -> None:
        self.backward_passes += images


def foolbox(name: str, **options: Any) -> Run:
    """An attack of foolbox in its native PyTorch mode."""

    def run(problem: Problem) -> tuple[Tensor, int, int]:
        import foolbox as library

        module = Counted(problem.copy()).eval()
        model = library.PyTorchModel(module, bounds=(0, 1), device="cpu")
        found = getattr(library.attacks, name)(**options).run(
            model, problem.images, library.Misclassification(problem.labels)
        )
        return found, module.forward_passes, module.backward_passes

    return run


def art(name: str, **options: Any) -> Run:
    """An attack of the Adversarial Robustness Toolbox."""

    def run(problem: Problem) -> tuple[Tensor, int, int]:
        from art.attacks import evasion
        from art.estimators.classification import PyTorchClassifier

        module, shape = Counted(problem.copy()).eval(), tuple(problem.images.shape[1:])
        loss = nn.CrossEntropyLoss()
        classifier = PyTorchClassifier(module, loss, shape, problem.classes, clip_values=(0, 1), device_type="cpu")
        attack = getattr(evasion, name)(classifier, batch_size=len(problem.images), verbose=False, **options)
        found = attack.generate(problem.images.numpy(), problem.labels.numpy())
        return torch.from_numpy(found), module.forward_passes, module.backward_passes

    return run


def cases(steps: int) -> dict[str, dict[str, Run]]:
    """The contestants of each attack, with the same settings."""
    search = {"binary_search_steps": 5, "confidence": 0.0}
    entered: dict[str, tuple[Attack, dict[str, Run]]] = {
        "deepfool": (
            DeepFool(),
            {
                "foolbox": foolbox("L2DeepFoolAttack"),
                "ART": art("DeepFool", max_iter=50, epsilon=0.02, nb_grads=10),
            },
        ),
        "fmn": (FMN(steps=steps, schedule=steps), {"foolbox": foolbox("L2FMNAttack", steps=steps)}),
        "ddn": (DDN(steps=steps, schedule=steps), {"foolbox": foolbox("DDNAttack", steps=steps)}),
        "cw-l2": (
            CWL2(searches=5, steps=steps, first_weight=1.0, abort=False),
            {
                "foolbox": foolbox(
                    "L2CarliniWagnerAttack", steps=steps, initial_const=1.0, abort_early=False, **search
                ),
                # A step of ART's searches its length too, which takes as many gradients as four of the others.
                "ART": art("CarliniL2Method", max_iter=steps // 4, initial_const=1.0, learning_rate=0.01, **search),
            },
        ),
    }
    made = {}
    for name, (attack, peers) in entered.items():
        run, limit = ours(attack)
        made[name] = {"medrobust": run, "limit": limit, **peers}
    return made


@dataclass
class Figures:
    """What was measured of a contestant."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    lengths: Tensor = field(default_factory=lambda: torch.empty(0))
    """Of the perturbation of each image; infinite where it is not broken."""
    forward: int = 0
    backward: int = 0


def measure(problem: Problem, contestants: dict[str, Run], repeats: int) -> dict[str, Figures]:
    """Repeats in turns; one that is not counted comes first."""
    figures = {name: Figures() for name in contestants}
    for repeat in range(repeats + 1):
        for name, run in contestants.items():
            wall, cpu = time.perf_counter(), time.process_time()
            found, forward, backward = run(problem)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            if repeat:
                figures[name].wall.append(wall)
                figures[name].cpu.append(cpu)
            if name != "limit":
                judge(problem, found, figures[name])
            figures[name].forward, figures[name].backward = forward, backward
    return figures


def judge(problem: Problem, found: Tensor, figures: Figures) -> None:
    """The length of what was found for each image, by the original network in float32; infinite where not broken."""
    with torch.no_grad():
        broken = problem.module(found).argmax(dim=1) != problem.labels
    assert float(found.min()) >= 0
    assert float(found.max()) <= 1
    length = torch.linalg.vector_norm(found - problem.images, dim=(1, 2, 3))
    figures.lengths = torch.where(broken, length, torch.inf)


def compared(mine: Figures, other: Figures) -> tuple[bool, str]:
    """Whether ours is at least as strong on the same images, and the typical ratio of two lengths.

    Two searches that take equal steps part by rounding, some images this way and some that: ours is weaker if it breaks
    fewer images, or if its perturbations are the longer ones in pairs (Wilcoxon's test, one-sided, at 0.01).
    """
    both = mine.lengths.isfinite() & other.lengths.isfinite()
    ratios = (mine.lengths[both] / other.lengths[both]).log()
    apart = ratios[ratios.abs() > NEARLY]
    longer = len(apart) > 0 and float(wilcoxon(apart.numpy(), alternative="greater").pvalue) < ALPHA
    fewer = int(mine.lengths.isfinite().sum()) < int(other.lengths.isfinite().sum())
    return not (longer or fewer), f"{float(ratios.mean().exp()):.3f} of its length"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--network", default="small-resnet", choices=sorted(NETWORKS))
    parser.add_argument("--attack", action="append", help="only these")
    parser.add_argument("--library", action="append", choices=("foolbox", "ART"), help="only these, beside medrobust")
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "medrobust-benchmarks")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    problem = load(NETWORKS[options.network], cache=options.cache)
    images = min(options.images, len(problem.images))
    problem = problem.first(images, images)
    console = Console(width=150)
    title = f"{NETWORKS[options.network].label}, {images} images, {options.steps} steps, {options.repeats} repeats"
    table = Table(title=f"{title}\n{hardware('cpu', options.threads)}", title_justify="left")
    for heading in ("attack", "library", "broken", "median l2", "median s", "CPU s", "forward", "backward", "verdict"):
        table.add_column(heading, justify="left" if heading in ("attack", "library") else "right")
    failed = False
    for attack, contestants in cases(options.steps).items():
        if options.attack and attack not in options.attack:
            continue
        left_out = {"foolbox", "ART"} - set(options.library or ("foolbox", "ART"))
        entered = {name: run for name, run in contestants.items() if name not in left_out}
        figures = measure(problem, entered, options.repeats)
        mine = figures["medrobust"]
        for name, each in figures.items():
            wall, cpu = statistics.median(each.wall), statistics.median(each.cpu)
            verdict = ""
            if name == "limit":
                times = statistics.median(mine.cpu) / cpu
                verdict = f"{times:.2f} of it {'pass' if times <= LIMIT_BAR else 'FAIL'}"
            elif name != "medrobust":
                good, ratio = compared(mine, each)
                times = wall / statistics.median(mine.wall)
                verdict = f"{times:.1f} x faster, {'at least as strong' if good else 'WEAKER'} ({ratio})"
                failed |= not good or times < 1
            found = each.lengths
            told = (f"{found.isfinite().float().mean():.3f}", f"{found.median():.4f}") if len(found) else ("", "")
            table.add_row(
                attack, name, *told, f"{wall:.3f}", f"{cpu:.3f}", str(each.forward), str(each.backward), verdict
            )
            failed |= verdict.endswith("FAIL")
        table.add_section()
        console.print(f"{attack} done", style="dim")
    console.print(table)
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
