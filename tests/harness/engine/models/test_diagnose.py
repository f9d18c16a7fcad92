"""What can be seen of a model in two passes and a gradient."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medrobust.engine.models.diagnose import IMAGES, diagnose

Images = tuple[Tensor, Tensor]


class Random(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits + 0.1 * torch.randn_like(logits)


class Scaled(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits * 1e4


class Root(nn.Module):
    """The slope of a root at zero is infinite, and zero times infinity is no number."""

    def forward(self, logits: Tensor) -> Tensor:
        return logits + (logits * 0).sqrt()


class Rounded(nn.Module):
    def forward(self, logits: Tensor) -> Tensor:
        return logits.round()


def test_an_honest_model(trained: nn.Module, shadows: Images) -> None:
    assert diagnose(trained, shadows[0], "multiclass", declared_random=False) == {
        "images": IMAGES,
        "zero_gradient": 0.0,
        "bad_gradient": 0.0,
        "noise": 0.0,
        "probabilities": False,
        "declared_random": False,
        "batch": 0.0,
        "scale": None,
    }


@pytest.mark.parametrize(
    ("layer", "finding"),
    [(Scaled(), "zero_gradient"), (Rounded(), "zero_gradient"), (Root(), "bad_gradient"), (Random(), "noise")],
)
def test_each_fault_shows_in_its_own_finding(
    trained: nn.Module, shadows: Images, layer: nn.Module, finding: str
) -> None:
    honest = diagnose(trained, shadows[0], "multiclass", declared_random=False)
    found = diagnose(nn.Sequential(trained, layer), shadows[0], "multiclass", declared_random=False)
    assert found[finding] > 0.005 > honest[finding]  # type: ignore[literal-required]
    if finding != "noise":
        assert found[finding] > 0.5  # type: ignore[literal-required]
    # What differs between equal passes says nothing of batches.
    assert (found["batch"] is None) == (finding == "noise")
    others = honest.keys() - {finding, "batch"}
    assert {k: found[k] for k in others} == {k: honest[k] for k in others}  # type: ignore[literal-required]


@pytest.mark.parametrize(
    ("task", "last", "outputs", "expected"),
    [
        ("multiclass", nn.Softmax(dim=1), 3, True),
        ("multiclass", nn.LogSoftmax(dim=1), 3, False),
        ("multiclass", nn.Sigmoid(), 3, False),
        ("multiclass", nn.Sigmoid(), 1, True),
        ("multilabel", nn.Sigmoid(), 3, True),
        ("multilabel", nn.Identity(), 3, False),
    ],
)
def test_probabilities_are_told_from_logits(
    shadows: Images, task: str, last: nn.Module, outputs: int, expected: bool
) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        module = nn.Sequential(nn.Flatten(), nn.Linear(256, outputs), last)
    assert diagnose(module, shadows[0], task, declared_random=False)["probabilities"] is expected


def test_few_images_are_enough_and_a_declaration_is_kept(trained: nn.Module, shadows: Images) -> None:
    found = diagnose(trained, shadows[0][:3], "multiclass", declared_random=True)
    assert (found["images"], found["declared_random"]) == (3, True)
