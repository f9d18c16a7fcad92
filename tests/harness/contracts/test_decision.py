"""The rule of decision is one for tensors and for arrays."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from medrobust import cross_entropy, decide
from medrobust.contracts import Untargeted


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("outputs", [1, 2, 5])
def test_arrays_and_tensors_decide_alike(outputs: int, multilabel: bool) -> None:
    logits = np.random.default_rng(0).normal(size=(200, outputs)).astype(np.float32)
    logits[:20] = np.round(logits[:20])  # ties and zeros
    array = decide(logits, multilabel=multilabel)
    tensor = decide(torch.from_numpy(logits), multilabel=multilabel)
    assert array.dtype == np.int64
    assert tensor.dtype == torch.int64
    assert np.array_equal(array, tensor.numpy())


def test_the_first_of_equal_logits_wins() -> None:
    assert decide(np.zeros((1, 3), dtype=np.float32), multilabel=False).tolist() == [0]
    assert decide(torch.zeros(1, 3), multilabel=False).tolist() == [0]


def test_a_single_logit_is_a_sigmoid_of_two_classes() -> None:
    logits = torch.tensor([[-1.0], [0.0], [2.0]])
    assert decide(logits, multilabel=False).tolist() == [0, 0, 1]
    labels = torch.tensor([0, 1, 1])
    assert Untargeted(labels).reached(logits).tolist() == [False, True, False]
    # Its loss is that of the two logits (0, x), of which only the difference counts.
    pair = torch.cat([torch.zeros(3, 1), logits], dim=1)
    assert torch.allclose(cross_entropy(logits, labels), cross_entropy(pair, labels))
