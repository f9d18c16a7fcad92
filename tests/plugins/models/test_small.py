"""The small networks: shapes, widths, and their normalisation."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from medrobust import Shape
from medrobust_models import SmallCNN, SmallResNet, SmallResNet14


def build(model: SmallCNN | SmallResNet, shape: Shape) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model.build(shape).eval()


def images(channels: int, height: int, width: int) -> Tensor:
    return torch.rand(2, channels, height, width, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "model", [SmallCNN(), SmallResNet(), SmallResNet14(), SmallCNN(width=4), SmallResNet(width=8)], ids=str
)
@pytest.mark.parametrize(("channels", "height", "width", "outputs"), [(1, 28, 28, 1), (3, 32, 32, 7), (3, 20, 48, 14)])
def test_any_channels_size_and_number_of_outputs(
    model: SmallCNN | SmallResNet, channels: int, height: int, width: int, outputs: int
) -> None:
    logits = build(model, Shape(channels, height, width, outputs))(images(channels, height, width))
    assert logits.shape == (2, outputs)
    assert torch.isfinite(logits).all()


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (SmallCNN(), [(3, 8, 3), (8, 32, 3), (32, 64, 3)]),
        (
            SmallResNet(),
            [
                (3, 16, 4),
                *((16, 16, 3), (16, 16, 3), (16, 16, 1)),
                *((16, 32, 3), (32, 32, 3), (16, 32, 1)),
                *((32, 64, 3), (64, 64, 3), (32, 64, 1)),
            ],
        ),
        (
            SmallResNet14(),
            [
                (3, 16, 4),
                *((16, 16, 3), (16, 16, 3), (16, 16, 1), (16, 16, 3), (16, 16, 3)),
                *((16, 32, 3), (32, 32, 3), (16, 32, 1), (32, 32, 3), (32, 32, 3)),
                *((32, 64, 3), (64, 64, 3), (32, 64, 1), (64, 64, 3), (64, 64, 3)),
            ],
        ),
    ],
    ids=["small-cnn", "small-resnet", "small-resnet14"],
)
def test_they_are_built_as_their_documentation_says(
    model: SmallCNN | SmallResNet, expected: list[tuple[int, int, int]]
) -> None:
    module = build(model, Shape(3, 32, 32, 5))
    convolutions = [m for m in module.modules() if isinstance(m, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.kernel_size[0]) for c in convolutions] == expected
    assert all(c.bias is None for c in convolutions)
    assert sum(isinstance(m, nn.BatchNorm2d) for m in module.modules()) == len(expected)
    (head,) = (m for m in module.modules() if isinstance(m, nn.Linear))
    assert (head.in_features, head.out_features) == (64, 5)


@pytest.mark.parametrize("model", [SmallCNN(), SmallResNet()], ids=str)
def test_pixels_are_centred_inside(model: SmallCNN | SmallResNet) -> None:
    module = build(model, Shape(1, 16, 16, 2))
    batch = images(1, 16, 16)
    assert torch.equal(module[0](batch), batch * 2 - 1)  # type: ignore[index,operator]


def test_a_residual_block_adds_its_shortcut() -> None:
    module = build(SmallResNet(width=4), Shape(1, 16, 16, 2))
    block = module[4]  # type: ignore[index]
    maps = images(4, 8, 8)
    with torch.no_grad():
        inner = block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(maps)))))  # type: ignore[union-attr,operator]
        torch.testing.assert_close(block(maps), torch.relu(inner + block.shortcut(maps)))  # type: ignore[union-attr,operator]
        assert block(maps).shape == (2, 4, 4, 4)  # type: ignore[operator]
