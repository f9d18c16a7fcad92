"""Crafting adversarial images once, judging them, and streaming them past every target that wants them."""

from __future__ import annotations

import resource
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from ..contracts import Budget, Classifier, Goal, Targeted, Untargeted, decide
from ..errors import DataError, MedrobustError
from ..grid.blocks import GoalSpec
from ..results.verdict import Norms, Status, budget_fault, form_fault, logits_fault, norms
from .data import canonical


@dataclass
class CellAccumulator:
    """What has been collected of one cell so far, and its status."""

    status: Status = "ok"
    reason: str = ""
    logits: list[Tensor] = field(default_factory=list)
    l2: list[Tensor] = field(default_factory=list)
    linf: list[Tensor] = field(default_factory=list)

    def stop(self, status: Status, reason: str) -> None:
        """Give the cell up: what it returned so far is no result."""
        self.status, self.reason = status, reason
        self.logits, self.l2, self.linf = [], [], []

    @property
    def alive(self) -> bool:
        return self.status == "ok"

    def add(self, logits: Tensor, measured: Norms) -> None:
        self.logits.append(logits.float().cpu())
        self.l2.append(measured.l2.float().cpu())
        self.linf.append(measured.linf.float().cpu())

    def cut(self, batches: int) -> None:
        """Forget what came after the first `batches` batches."""
        for values in (self.logits, self.l2, self.linf):
            del values[batches:]

    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Logits (n, outputs), l2 (n,) and linf (n,)."""
        return tuple(torch.cat(x).numpy() for x in (self.logits, self.l2, self.linf))  # type: ignore[return-value]


def judge(
    into: CellAccumulator,
    adversarial: object,
    images: Tensor,
    budget: Budget,
    predict: Callable[[Tensor], Tensor],
    outputs: int,
) -> None:
    """Check one batch of adversarial images, re-predict it with the target, and collect the outcome."""
    if fault := form_fault(adversarial, images):
        into.stop("invalid", fault)
        return
    assert isinstance(adversarial, Tensor)
    adversarial = canonical(adversarial.detach())
    measured = norms(images, adversarial, budget.norm)
    if fault := budget_fault(adversarial, images, measured, budget):
        into.stop("invalid", fault)
        return
    logits = predict(adversarial)
    if fault := logits_fault(logits, len(images), outputs):
        into.stop("failed", fault)
        return
    into.add(logits, measured)


def goal_for(
    spec: GoalSpec, labels: Tensor | None, classifier: Classifier, images: Tensor, classes: tuple[str, ...]
) -> Goal:
    """The goal for one batch.

    Raises:
        DataError: if true labels are needed and absent.
    """
    multilabel = classifier.task == "multilabel"
    if spec.targeted:
        index = torch.full((len(images),), classes.index(spec.target), device=images.device)
        return Targeted(torch.nn.functional.one_hot(index, len(classes)) if multilabel else index)
    if spec.kind == "predicted":
        return Untargeted(decide(classifier.logits(images), multilabel=multilabel))
    if labels is None:
        raise DataError('the images have no labels; use goal = "predicted" or a target class')
    return Untargeted(labels.to(images.device))


def explain(error: BaseException, what: str) -> str:
    """Why a cell failed, for its record: people's errors as they are, others with the line they came from."""
    if isinstance(error, MedrobustError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{what} raised {type(error).__name__}: {' '.join(str(error).split())[:300]}{place}"


def add_perturbation(images: Tensor, perturbation: Tensor, budget: Budget) -> Tensor:
    """Images with a universal perturbation added, clipped to the box if there is one."""
    adversarial = images + perturbation
    return adversarial if budget.box is None else adversarial.clamp_(*budget.box)


CACHE_BYTES = 32 * 2**20
"""Activations of a batch on a CPU: about what a last-level cache holds; larger batches wait for memory."""
USUAL = 32
"""Images a batch on a CPU even where their activations leave its cache: every pass has a cost of its own, which grows
with the number of layers (DenseNet-121 at 64 pixels: as much as ten images)."""
USUAL_BYTES = 2**30
"""Activations of a batch on a CPU at most, above the least batch."""
DEVICE_BYTES = 2 * 2**30
"""Activations of a batch on a GPU: enough to fill it, far below its memory."""


def batch_size_for(activation_bytes: int, device: str) -> int:
    """Images a batch: a power of two whose activations fit; from the model alone, so equal plans use equal batches.

    Args:
        activation_bytes: what a forward pass keeps of one image.
        device: a CPU's batches fit its cache or are of usual size, a GPU's fill it.
    """
    if device.startswith("cuda"):
        return max(8, min(1024, _fitting(DEVICE_BYTES, activation_bytes)))
    in_cache = min(256, _fitting(CACHE_BYTES, activation_bytes))
    return max(8, in_cache, min(USUAL, _fitting(USUAL_BYTES, activation_bytes)))


def _fitting(limit: int, activation_bytes: int) -> int:
    """The largest power of two of images whose activations fit."""
    return 1 << (max(1, limit // max(activation_bytes, 1)).bit_length() - 1)


def out_of_memory(error: BaseException) -> bool:
    """Whether an error means that a batch was too large."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def peak_memory(device: str) -> int:
    """Largest memory use so far in bytes: of the device for CUDA, else of this process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


class Clock:
    """Seconds since it was made."""

    def __init__(self) -> None:
        self._begun = time.perf_counter()

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun
