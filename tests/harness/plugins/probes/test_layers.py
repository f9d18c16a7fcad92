"""The layers that probes look at, and maps of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from medrobust import PluginError
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.plugins.probes import FeatureMaps, GradCAM
from medrobust.plugins.probes.layers import map_layer

Classify = Callable[..., TorchClassifier]


class Blocks(nn.Module):
    """A stem and two blocks that halve the size in their second layer, and a head of a convolution."""

    def __init__(self) -> None:
        super().__init__()

        def block(inputs: int, outputs: int) -> nn.Sequential:
            return nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.Conv2d(outputs, outputs, 2, stride=2))

        self.stem = nn.Conv2d(3, 4, 1)
        self.first, self.second = block(4, 5), block(5, 6)
        self.head = nn.Sequential(nn.Dropout(), nn.Conv2d(6, 3, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.head(self.second(self.first(self.stem(images))))
        return logits


def test_the_last_maps_are_those_before_pooling(classify: Classify, convolutional: nn.Module, images: Tensor) -> None:
    assert map_layer(classify(convolutional), images, "last") == "4"
    # Of the blocks that end together the outermost, and not the classes that a convolution in the head puts out.
    assert map_layer(classify(Blocks()), images, "last") == "second"


def test_the_middle_is_the_last_of_its_size_and_no_part_of_the_next_block(classify: Classify, images: Tensor) -> None:
    assert map_layer(classify(Blocks()), images, "middle") == "first"


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("secnd", "the model has no layer 'secnd'; did you mean 'second'"),
        ("res3a_relu", r"no layer 'res3a_relu'; layers with maps: middle, last, stem, first\.0"),
        ("head.4", r"layer 'head\.4' puts out no maps \(channels, height, width\); layers that do: stem"),
        ("penultimate", "layer 'penultimate' puts out no maps"),
    ],
)
@pytest.mark.parametrize("probe", [FeatureMaps, GradCAM])
def test_a_layer_without_maps_is_answered_with_those_that_have_them(
    classify: Classify, images: Tensor, probe: type[FeatureMaps | GradCAM], layer: str, said: str
) -> None:
    with pytest.raises(PluginError, match=said):
        probe(layer=layer).measure(classify(Blocks()), images, images)


def test_a_network_without_maps_is_told(classify: Classify, images: Tensor) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(192, 3))
    with pytest.raises(PluginError, match="no layer of this model puts out maps"):
        FeatureMaps().measure(classify(module), images, images)


def test_feature_maps_are_means_over_channels(classify: Classify, convolutional: nn.Module, images: Tensor) -> None:
    probe, classifier = FeatureMaps(layer="middle"), classify(convolutional)
    assert probe.facts(classifier, images) == {"layer": "4"}
    found = FeatureMaps(layer="1").measure(classifier, images, 1 - images)
    for name, each in (("clean", images), ("adversarial", 1 - images)):
        expected = convolutional[:2](each).mean(dim=1)  # type: ignore[index]
        assert torch.from_numpy(found[name]).allclose(expected, atol=1e-6)


def test_grad_cam_of_a_linear_head_is_its_class_activation_map(
    classify: Classify, convolutional: nn.Module, images: Tensor
) -> None:
    # After average pooling over 4 x 4 places and a linear layer, the gradient of a logit at each place is w / 16.
    found = GradCAM().measure(classify(convolutional), images, 1 - images)
    for name, each in (("clean", images), ("adversarial", 1 - images)):
        maps = convolutional[:5](each)  # type: ignore[index]
        weights = convolutional[7].weight[convolutional(each).argmax(1)] / 16  # type: ignore[index]
        expected = torch.einsum("nk,nkhw->nhw", weights, maps).clamp(min=0)
        assert torch.from_numpy(found[name]).allclose(expected, atol=1e-6)
    assert found["clean"].max() > 0


def test_grad_cam_of_an_inner_layer_is_autograds(classify: Classify, convolutional: nn.Module, images: Tensor) -> None:
    maps = convolutional[:2](images).detach().requires_grad_(True)  # type: ignore[index]
    logits = convolutional[2:](maps)  # type: ignore[index]
    (gradient,) = torch.autograd.grad(logits.amax(dim=1).sum(), maps)
    expected = (gradient.mean(dim=(2, 3), keepdim=True) * maps).sum(dim=1).clamp(min=0)
    found = GradCAM(layer="1").measure(classify(convolutional), images, images)["clean"]
    assert torch.from_numpy(found).allclose(expected, atol=1e-6)


def test_grad_cam_of_a_single_output_speaks_for_the_class_decided(classify: Classify, images: Tensor) -> None:
    torch.manual_seed(1)
    module = nn.Sequential(nn.Conv2d(3, 4, 1), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 1))
    with torch.no_grad():
        module[4].weight.copy_(-module[4].weight.abs())  # type: ignore[operator]
        module[4].bias.zero_()  # type: ignore[operator]
    # Every image is of class 0, for which every channel speaks.
    assert (module(images) < 0).all()
    assert GradCAM(layer="1").measure(classify(module, 2), images, images)["clean"].max() > 0
