"""Training a model by its recipe."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...contracts import Recipe, Task, TransformImages, cross_entropy, decide
from ...contracts.augmentation import parse_augmentation
from ...errors import DataError, ModelError
from ..data import LoadedPart
from .augment import augment

Epoch = dict[str, float]
Progress = Callable[[int, int, str], None]
"""Called with (done, total, what)."""


def train(
    module: nn.Module,
    part: LoadedPart,
    validation: LoadedPart | None,
    recipe: Recipe,
    seed: int,
    *,
    device: str = "cpu",
    progress: Progress | None = None,
    before: TransformImages | None = None,
    after: TransformImages | None = None,
) -> list[Epoch]:
    """Train `module` in place; it ends with the weights of the selected epoch, in evaluation mode.

    Args:
        module: takes float32 (n, c, h, w) in [0, 1], gives logits.
        part: training images.
        validation: images on which the best epoch is chosen by loss; None keeps the last epoch.
        recipe: how.
        seed: seed of order, augmentation and dropout.
        device: where to train.
        progress: called after each epoch.
        before: changes training images before augmentation.
        after: changes training images after augmentation, on the device; the module is in evaluation mode meanwhile.

    Returns:
        One dictionary an epoch: epoch, learning_rate, train_loss, and val_loss and val_accuracy where there are any.

    Raises:
        DataError: if a class has no training image or labels are absent.
        ModelError: if training diverges.
    """
    if recipe.epochs == 0:
        module.eval()
        return []
    labels = _labels(part)
    generator = torch.Generator().manual_seed(seed)
    amounts = dict(map(parse_augmentation, recipe.augment))
    criterion = _criterion(recipe, labels, part.info.classes, part.info.task, device)
    layout = _layout(module)
    module.to(device, memory_format=layout)  # type: ignore[call-overload]
    optimizer = _optimizer(recipe, module)
    steps = math.ceil(_epoch_size(recipe, labels) / recipe.batch_size)
    schedule = _schedule(recipe, optimizer, steps)
    history: list[Epoch] = []
    best_loss, best_state = math.inf, None
    with _seeded(seed, device):
        for epoch in range(1, recipe.epochs + 1):
            module.train()
            total = torch.zeros((), device=device)
            order = _order(recipe, labels, generator)
            rate = optimizer.param_groups[0]["lr"]
            for start in range(0, len(order), recipe.batch_size):
                index = order[start : start + recipe.batch_size]
                if len(index) == 1 and len(order) > 1:
                    continue  # batch norm has no variance of one image
                images = _images(part, index)
                if before is not None:
                    images = before(images, labels[index], index)
                if amounts:
                    images = augment(images, amounts, generator)
                images, truth = images.to(device, memory_format=layout), labels[index].to(device)
                if after is not None:
                    images = after(images, truth, index)
                    module.train()
                optimizer.zero_grad(set_to_none=True)
                with _arithmetic(recipe, device):
                    logits = module(images)
                loss = criterion(logits.float(), truth)
                loss.backward()
                optimizer.step()
                if schedule is not None and recipe.schedule != "step":
                    schedule.step()
                total += loss.detach() * len(index)
            if schedule is not None and recipe.schedule == "step":
                schedule.step()
            entry: Epoch = {"epoch": epoch, "learning_rate": rate, "train_loss": float(total) / len(order)}
            if not math.isfinite(entry["train_loss"]):
                raise ModelError(
                    f"training diverged in epoch {epoch} (loss {entry['train_loss']}); lower recipe.learning_rate"
                )
            text = f"epoch {epoch}, loss {entry['train_loss']:.3f}"
            if validation is not None:
                found = predict(module, validation, device=device)
                expected = _labels(validation)
                entry["val_loss"] = float(cross_entropy(found, expected).mean())
                hits = decide(found, multilabel=part.info.task == "multilabel") == expected
                entry["val_accuracy"] = float(hits.float().mean())
                text += f", val accuracy {entry['val_accuracy']:.3f}"
                if entry["val_loss"] < best_loss:
                    best_loss = entry["val_loss"]
                    best_state = {k: v.detach().clone() for k, v in module.state_dict().items()}
            history.append(entry)
            if progress:
                progress(epoch, recipe.epochs, text)
    if best_state is not None:
        module.load_state_dict(best_state)
    module.to(memory_format=torch.contiguous_format)
    module.eval()
    return history


def _layout(module: nn.Module) -> torch.memory_format:
    """Channels-last, which convolutions prefer and which changes no value that a recipe speaks of, where it is safe.

    It is not for the gradient of the weights of a strided 1x1 convolution of fewer than 8 channels: with AVX2, oneDNN
    writes past its buffer, so that weights are wrong or the process ends (github.com/uxlfoundation/oneDNN, issue 6035).
    """
    unsafe = any(
        isinstance(layer, nn.Conv2d)
        and set(layer.kernel_size) == {1}
        and set(layer.stride) != {1}
        and layer.in_channels // layer.groups < 8
        for layer in module.modules()
    )
    return torch.contiguous_format if unsafe else torch.channels_last


def _arithmetic(recipe: Recipe, device: str) -> contextlib.AbstractContextManager[Any]:
    """What the forward pass of a training step computes in."""
    kind = torch.device(device).type
    return torch.autocast(kind, torch.bfloat16) if recipe.precision == "bfloat16" else contextlib.nullcontext()


@contextlib.contextmanager
def _seeded(seed: int, device: str) -> Iterator[None]:
    """What layers draw by themselves (dropout) follows from the seed, and leaves the caller's generators alone."""
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        yield


def predict(module: nn.Module, part: LoadedPart, *, device: str = "cpu", batch_size: int = 256) -> Tensor:
    """Logits of a part on the CPU, float32 (n, outputs)."""
    module.eval()
    with torch.no_grad():
        batches = (part.tensor(slice(s, s + batch_size), device) for s in range(0, len(part), batch_size))
        return torch.cat([module(batch).float().cpu() for batch in batches])


def _labels(part: LoadedPart) -> Tensor:
    if part.labels is None:
        raise DataError("the data set has no labels; it can be evaluated or crafted on, not trained on")
    return part.labels


def _images(part: LoadedPart, index: Tensor) -> Tensor:
    return part.tensor(index.numpy())


_NAMED = 5
"""Classes without images that a message names; ImageNet has hundreds of them in a small slice."""


def _counts(labels: Tensor, classes: Sequence[str]) -> Tensor:
    """Images of each class, or that show each of several findings.

    Raises:
        DataError: naming those of which there is none.
    """
    counts = torch.bincount(labels, minlength=len(classes)) if labels.ndim == 1 else labels.sum(dim=0)
    missing = [f"'{classes[index]}'" for index in (counts == 0).nonzero().flatten().tolist()]
    if missing:
        named = ", ".join(missing[:_NAMED]) + (f" and {rest} others" if (rest := len(missing) - _NAMED) > 0 else "")
        which = f"class {named} has" if len(missing) == 1 else f"classes {named} have"
        raise DataError(
            f"{which} no image among the {len(labels)} training images of this slice; take a larger train_set"
        )
    return counts


def _criterion(
    recipe: Recipe, labels: Tensor, classes: Sequence[str], task: Task, device: str
) -> Callable[[Tensor, Tensor], Tensor]:
    counts = _counts(labels, classes)
    if task == "multiclass":
        weight = (len(labels) / (len(classes) * counts)).to(device) if recipe.balance == "weights" else None
        return lambda logits, truth: F.cross_entropy(logits, truth, weight=weight)
    positive = (counts / len(labels)).clamp(max=1 - 1e-6)
    ratio = ((1 - positive) / positive).to(device) if recipe.balance == "weights" else None
    return lambda logits, truth: F.binary_cross_entropy_with_logits(logits, truth.to(logits.dtype), pos_weight=ratio)


def _epoch_size(recipe: Recipe, labels: Tensor) -> int:
    if recipe.balance == "oversample" and labels.ndim == 1:
        counts = torch.bincount(labels)
        return int(counts.max()) * int((counts > 0).sum())
    return len(labels)


def _order(recipe: Recipe, labels: Tensor, generator: torch.Generator) -> Tensor:
    """The images of an epoch; oversampling repeats random images of each minority class up to the largest."""
    if recipe.balance == "oversample" and labels.ndim == 1:
        most = int(torch.bincount(labels).max())
        chosen = []
        for value in labels.unique():
            members = (labels == value).nonzero().flatten()
            extra = torch.randint(len(members), (most - len(members),), generator=generator)
            chosen += [members, members[extra]]
        pool = torch.cat(chosen)
        return pool[torch.randperm(len(pool), generator=generator)]
    return torch.randperm(len(labels), generator=generator)


def _optimizer(recipe: Recipe, module: nn.Module) -> torch.optim.Optimizer:
    parameters = [p for p in module.parameters() if p.requires_grad]
    # Fused, a step is one kernel: the same formula, up to 13 % of the training of a small network faster.
    options: Mapping[str, Any] = {"lr": recipe.learning_rate, "weight_decay": recipe.weight_decay, "fused": True}
    if recipe.optimizer == "sgd":
        nesterov = recipe.nesterov
        return torch.optim.SGD(parameters, momentum=recipe.momentum, nesterov=nesterov, **options)
    return (torch.optim.Adam if recipe.optimizer == "adam" else torch.optim.AdamW)(parameters, **options)


def _schedule(
    recipe: Recipe, optimizer: torch.optim.Optimizer, steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    total = max(steps * recipe.epochs, 1)
    if recipe.schedule == "cosine":
        return torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, total)
    if recipe.schedule == "onecycle" and total > 1:
        return torch.optim.lr_scheduler.OneCycleLR(optimizer, recipe.learning_rate, total_steps=total)
    if recipe.schedule == "step":
        return torch.optim.lr_scheduler.MultiStepLR(optimizer, list(recipe.milestones), gamma=recipe.gamma)
    return None
