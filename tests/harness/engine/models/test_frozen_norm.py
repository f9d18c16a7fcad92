"""Batch norms as affine maps: the same values and gradients, and nothing kept of their input."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medrobust.engine.models.frozen_norm import FrozenBatchNorm, with_frozen_batch_norms

pytestmark = pytest.mark.numerical


def norm(channels: int, **options: bool) -> nn.BatchNorm2d:
    made = nn.BatchNorm2d(channels, **options).double()
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in (*made.parameters(), *(b for b in made.buffers() if b.is_floating_point())):
            tensor.copy_(torch.rand(channels, generator=generator) + 0.2)
    return made.eval().requires_grad_(False)


@pytest.mark.parametrize("affine", [True, False])
def test_values_and_gradients_are_those_of_the_batch_norm(affine: bool) -> None:
    plain = norm(5, affine=affine)
    leaves = [torch.randn(3, 5, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) for _ in "ab"]
    outputs = [
        layer(leaf.requires_grad_(True)) for layer, leaf in zip((plain, FrozenBatchNorm(plain)), leaves, strict=True)
    ]
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(
        *(torch.autograd.grad(o.square().sum(), x)[0] for o, x in zip(outputs, leaves, strict=True))
    )


def test_nothing_is_kept_of_the_input() -> None:
    def kept(layer: nn.Module) -> int:
        sizes: list[int] = []

        def note(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
            layer(torch.randn(2, 5, 8, 8, dtype=torch.float64, requires_grad=True))
        return max(sizes)

    assert kept(norm(5)) == 2 * 5 * 8 * 8
    assert kept(FrozenBatchNorm(norm(5))) == 5


def test_only_norms_with_running_statistics_are_exchanged() -> None:
    net = nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 4, 3), norm(4)), norm(4, track_running_stats=False), nn.BatchNorm1d(4)
    )
    assert with_frozen_batch_norms(net)
    assert [type(m).__name__ for m in (net[0][1], net[1], net[2])] == ["FrozenBatchNorm", "BatchNorm2d", "BatchNorm1d"]
    assert not with_frozen_batch_norms(net)
