"""The libraries that are compared, each used as its documentation says, on the same batches of the same images.

Correspondence of the attacks:

- `pgd`: cross-entropy, sign steps, uniform random start. foolbox `LinfPGD`, ART `ProjectedGradientDescent`,
  torchattacks `PGD`.
- `cw`: the same steps from the clean image on Carlini and Wagner's margin, never saturated. None of the peers has it
  ready to use with an unsaturated margin: foolbox's `LinfPGD` takes it as an overridden `get_loss_fn`, ART's
  `PyTorchClassifier` as its `loss`, torchattacks' `UPGD` as its `loss`, without momentum.
- `square`: torchattacks `Square` and ART `SquareAttack`; foolbox has none. Both let an image rest once it is broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from problems import Problem
from torch import Tensor

from medrobust import Arithmetic, IterativeAttack, Length, SampleRNG, Untargeted
from medrobust.contracts import cumulative_field
from medrobust.engine.acceleration import Acceleration
from medrobust.engine.crafting.batches import batch_size_for
from medrobust.engine.crafting.early import until_success
from medrobust.engine.models.classifier import TorchClassifier, activation_bytes
from medrobust.engine.running.process import set_up
from medrobust_attacks import PGD, CWLinf, Square

Kind = Literal["pgd", "cw", "square"]
Run = Callable[[int], Tensor]
"""Adversarial images of all images, for a seed."""


@dataclass(frozen=True)
class Work:
    """An attack and its length.

    Attributes:
        kind: `pgd`, `cw` or `square`.
        steps: gradient steps, or queries for `square`.
        step_size: length of a step as a share of eps.
    """

    kind: Kind
    steps: int
    step_size: float = 0.1


def unsaturated_margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Largest other logit minus that of the label, per image (n,)."""
    own = logits.gather(1, labels[:, None]).squeeze(1)
    mask = F.one_hot(labels, logits.shape[1]).bool()
    return logits.masked_fill(mask, -torch.inf).amax(dim=1) - own


def make_classifier(problem: Problem, arithmetic: Arithmetic = "float32") -> TorchClassifier:
    """Ours, as the engine makes it, in a process as the engine sets it up."""
    if problem.device.type == "cpu":
        set_up()
    return TorchClassifier(
        problem.copy(), "multiclass", problem.classes, Acceleration(), problem.images[:4], arithmetic
    )


def engine_batch_size(problem: Problem) -> int:
    """Images a batch that the engine would choose."""
    size = batch_size_for(activation_bytes(problem.module, problem.images[:1]), str(problem.device))
    return min(size, len(problem.images))


def _attack(work: Work) -> IterativeAttack:
    length = Length.parse(f"{work.step_size}*eps")
    if work.kind == "pgd":
        return PGD(steps=work.steps, step_size=length)
    if work.kind == "cw":
        return CWLinf(steps=work.steps, step_size=length, kappa=float("inf"))
    return Square(queries=work.steps, schedule=work.steps)


def _draws(problem: Problem, seed: int) -> SampleRNG:
    return SampleRNG.for_ids(seed, [str(i) for i in range(len(problem.images))], problem.device)


def ours(problem: Problem, work: Work, arithmetic: Arithmetic = "float32") -> Run:
    """medrobust at full strength."""
    classifier, attack = make_classifier(problem, arithmetic), _attack(work)

    def run(seed: int) -> Tensor:
        rng, parts, start = _draws(problem, seed), [], 0
        for images, labels in problem.batches():
            view = rng[torch.arange(start, start + len(images))]
            parts.append(attack.perturb(classifier, images, Untargeted(labels), problem.budget, view))
            start += len(images)
        return torch.cat(parts)

    return run


def ours_until_success(problem: Problem, work: Work, arithmetics: Sequence[Arithmetic] = ("float32",)) -> Run:
    """medrobust with `stop = "success"`; two arithmetics are precision `mixed`."""
    classifiers, attack = [make_classifier(problem, each) for each in arithmetics], _attack(work)
    field = cumulative_field(attack)
    assert field is not None
    wanted: set[int | None] = {work.steps}

    def run(seed: int) -> Tensor:
        rng, parts, start = _draws(problem, seed), [], 0
        for images, labels in problem.batches():
            view = rng[torch.arange(start, start + len(images))]
            made = until_success(attack, wanted, classifiers, images, Untargeted(labels), problem.budget, view)
            parts += [adversarial for _, adversarial in made]
            start += len(images)
        return torch.cat(parts)

    return run


def limit(problem: Problem, work: Work) -> Run:
    """As many forward and input-gradient passes of the prepared module and nothing else; gives clean images back."""
    prepared = make_classifier(problem)._prepared

    def run(seed: int) -> Tensor:
        for images, labels in problem.batches():
            leaf = images.contiguous(memory_format=prepared.memory_format).requires_grad_(work.kind != "square")
            with torch.autocast(problem.device.type, prepared.autocast, enabled=prepared.autocast is not None):
                for _ in range(work.steps):
                    if work.kind == "square":
                        with torch.no_grad():
                            prepared.module(leaf)
                    else:
                        torch.autograd.grad(F.cross_entropy(prepared.module(leaf), labels), leaf)
        return problem.images

    return run


def foolbox(problem: Problem, work: Work) -> Run:
    """foolbox in its native PyTorch mode."""
    import eagerpy
    from foolbox import Misclassification, PyTorchModel
    from foolbox.attacks import LinfPGD

    class MarginPGD(LinfPGD):  # type: ignore[misc]
        def get_loss_fn(self, model: Any, labels: Any) -> Any:
            return lambda inputs: eagerpy.astensor(unsaturated_margin(model(inputs).raw, labels.raw).sum())

    model = PyTorchModel(problem.copy(), bounds=(0, 1), device=str(problem.device))
    maker = MarginPGD if work.kind == "cw" else LinfPGD
    attack = maker(rel_stepsize=work.step_size, steps=work.steps, random_start=work.kind == "pgd")

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        made = [attack.run(model, x, Misclassification(y), epsilon=problem.eps) for x, y in problem.batches()]
        return torch.cat(made)

    return run


def art(problem: Problem, work: Work) -> Run:
    """The Adversarial Robustness Toolbox."""
    from art.attacks.evasion import ProjectedGradientDescent, SquareAttack
    from art.estimators.classification import PyTorchClassifier

    def margin(logits: Tensor, labels: Tensor) -> Tensor:
        labels = labels.argmax(dim=1) if labels.ndim == 2 else labels
        return unsaturated_margin(logits, labels).mean()

    loss: Any = margin if work.kind == "cw" else torch.nn.CrossEntropyLoss()
    kind = "gpu" if problem.device.type == "cuda" else "cpu"
    shape = tuple(problem.images.shape[1:])
    classifier = PyTorchClassifier(problem.copy(), loss, shape, problem.classes, clip_values=(0, 1), device_type=kind)
    attack: Any
    if work.kind == "square":
        options: dict[str, Any] = {"max_iter": work.steps, "batch_size": problem.batch_size}
        attack = SquareAttack(classifier, eps=problem.eps, verbose=False, **options)
    else:
        attack = ProjectedGradientDescent(
            classifier,
            eps=problem.eps,
            eps_step=work.step_size * problem.eps,
            max_iter=work.steps,
            num_random_init=int(work.kind == "pgd"),
            batch_size=problem.batch_size,
            verbose=False,
        )

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the generator ART draws from
        # It takes and gives NumPy arrays; batches are its own.
        made = attack.generate(problem.images.cpu().numpy(), problem.labels.cpu().numpy())
        return torch.from_numpy(made).to(problem.device)

    return run


def torchattacks(problem: Problem, work: Work) -> Run:
    """torchattacks."""
    import torchattacks as library

    module, step = problem.copy(), work.step_size * problem.eps
    attack: Any
    if work.kind == "pgd":
        attack = library.PGD(module, eps=problem.eps, alpha=step, steps=work.steps, random_start=True)
    elif work.kind == "cw":
        attack = library.UPGD(module, eps=problem.eps, alpha=step, steps=work.steps, random_start=False, decay=0.0)
        attack.loss = lambda images, labels, _: unsaturated_margin(attack.get_logits(images), labels).sum()
    else:
        # It evaluates its start on top of its queries.
        attack = library.Square(module, norm="Linf", eps=problem.eps, n_queries=work.steps - 1, n_restarts=1)

    def run(seed: int) -> Tensor:
        torch.manual_seed(seed)
        if work.kind == "square":
            attack.seed = seed
        return torch.cat([attack(x, y).detach() for x, y in problem.batches()])

    return run


OURS, EARLY, LIMIT = "medrobust", "medrobust (until success)", "limit"
LOW, MIXED = "medrobust bfloat16", "medrobust mixed (until success)"
PEERS = ("foolbox", "ART", "torchattacks")

CONTESTANTS: dict[str, Callable[[Problem, Work], Run]] = {
    "foolbox": foolbox,
    "ART": art,
    "torchattacks": torchattacks,
    OURS: ours,
    EARLY: ours_until_success,
    LOW: partial(ours, arithmetic="bfloat16"),
    MIXED: partial(ours_until_success, arithmetics=("bfloat16", "float32")),
    LIMIT: limit,
}


def entrants(kind: Kind) -> list[str]:
    """Who can do this kind of work, in the order of the table."""
    return [name for name in CONTESTANTS if not (kind == "square" and name == "foolbox")]
