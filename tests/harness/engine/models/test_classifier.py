"""The one classifier through which all passes go: counted, frozen, and equal to the module it stands for."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from medrobust import PluginError, Untargeted
from medrobust.engine.acceleration import PLAIN, Acceleration
from medrobust.engine.models.classifier import TorchClassifier, activation_bytes

pytestmark = pytest.mark.numerical

Images = tuple[Tensor, Tensor]
FAST = Acceleration()


def classifier(module: nn.Module, images: Tensor, acceleration: Acceleration = FAST) -> TorchClassifier:
    return TorchClassifier(module, "multiclass", 3, acceleration, images[:8])


def passes(counted: TorchClassifier) -> tuple[int, int]:
    return counted.forward_passes, counted.backward_passes


def test_a_model_is_frozen_and_evaluated() -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(256, 3), nn.Dropout(0.5))
    TorchClassifier(module, "multiclass", 3)
    assert not module.training
    assert not any(p.requires_grad for p in module.parameters())


@pytest.mark.parametrize("acceleration", [PLAIN, FAST], ids=["plain", "fast"])
def test_logits_and_gradients_are_the_modules(trained: nn.Module, shadows: Images, acceleration: Acceleration) -> None:
    images, labels = shadows[0][:20], shadows[1][:20]
    leaf = images.clone().requires_grad_(True)
    expected = trained(leaf)
    loss = F.cross_entropy(expected, labels, reduction="none")
    (by_hand,) = torch.autograd.grad(loss.sum(), leaf)
    fast = classifier(trained, images, acceleration)
    torch.testing.assert_close(fast.logits(images), expected.detach(), rtol=1e-4, atol=1e-4)
    gradient, values, logits = fast.gradient(images, Untargeted(labels).loss)
    torch.testing.assert_close(gradient, by_hand, rtol=1e-3, atol=1e-4 * float(by_hand.abs().max()))
    torch.testing.assert_close(values, loss.detach(), rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(logits, expected.detach(), rtol=1e-4, atol=1e-4)
    assert gradient.shape == images.shape
    assert not images.requires_grad
    assert not any(t.requires_grad for t in (gradient, values, logits))


def test_several_losses_share_a_pass_forward(trained: nn.Module, shadows: Images) -> None:
    images = shadows[0][:8]
    fast = classifier(trained, images)
    alone = [fast.gradient(images, lambda logits, k=k: logits[:, k]) for k in range(3)]  # type: ignore[misc]
    before = passes(fast)
    together = fast.gradients(images, [lambda logits, k=k: logits[:, k] for k in range(3)])  # type: ignore[misc]
    assert passes(fast) == (before[0] + 8, before[1] + 24)
    for one, other in zip(together, alone, strict=True):
        torch.testing.assert_close(one.gradient, other.gradient)
        torch.testing.assert_close(one.loss, other.loss)
    assert not torch.equal(together[0].gradient, together[1].gradient)


def test_low_precision_stays_inside(trained: nn.Module, shadows: Images) -> None:
    images, labels = shadows[0][:8], shadows[1][:8]
    fast = TorchClassifier(trained, "multiclass", 3, FAST, images[:8], "bfloat16")
    logits = fast.logits(images)
    assert logits.dtype == fast.gradient(images, Untargeted(labels).loss).gradient.dtype == torch.float32
    assert not torch.equal(logits, trained(images))
    assert torch.equal(fast.confirm(images), trained(images))


def test_every_pass_is_counted(trained: nn.Module, shadows: Images) -> None:
    images, labels = shadows[0][:20], shadows[1][:20]
    counted = classifier(trained, images)
    assert passes(counted) == (0, 0)  # preparing is no pass of an attack
    counted.logits(images)
    assert passes(counted) == (20, 0)
    counted.gradient(images, Untargeted(labels).loss)
    assert passes(counted) == (40, 20)
    counted.confirm(images[:5])
    assert passes(counted) == (45, 20)
    counted.features(images[:5], "4.conv1")
    assert passes(counted) == (50, 20)


def test_passes_of_other_libraries_are_counted(trained: nn.Module, shadows: Images) -> None:
    counted = classifier(trained, shadows[0])
    leaf = shadows[0][:7].clone().requires_grad_(True)
    logits = counted.module(leaf)
    logits[:, 0].sum().backward()
    assert passes(counted) == (7, 7)
    assert torch.equal(logits.detach(), trained(shadows[0][:7]))
    counted.module(shadows[0][:4])
    assert passes(counted) == (11, 7)


def test_features_are_those_of_the_named_layer(trained: nn.Module, shadows: Images) -> None:
    images = shadows[0][:5]
    last = str(len(trained) - 1)  # type: ignore[arg-type]
    seen = classifier(trained, images)
    assert torch.equal(seen.features(images, last), trained(images))
    inner = seen.features(images, "4.conv1")
    assert inner.shape == (5, 8, 4, 4)
    assert torch.equal(inner, trained[4].conv1(trained[:4](images)))  # type: ignore[index]
    assert not any(m._forward_hooks for m in trained.modules())


def test_what_runs_in_place_after_a_layer_does_not_change_its_features(trained: nn.Module, shadows: Images) -> None:
    images = shadows[0][:5]
    assert trained[3].inplace  # type: ignore[index,union-attr]
    assert torch.equal(classifier(trained, images).features(images, "2"), trained[:3](images))  # type: ignore[index]


def test_deep_features_are_what_goes_into_the_last_layer(trained: nn.Module, shadows: Images) -> None:
    images = shadows[0][:5]
    expected = trained[:-1](images)  # type: ignore[index]
    assert torch.equal(classifier(trained, images).features(images), expected)
    convolutional = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Conv2d(4, 3, 1), nn.Flatten())
    assert torch.equal(classifier(convolutional, images, PLAIN).features(images), convolutional[:2](images))


def test_a_layer_that_runs_twice_counts_as_it_ran_last(shadows: Images) -> None:
    relu = nn.ReLU()
    module = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), relu, nn.Linear(8, 3), relu)
    images = shadows[0][:5]
    assert torch.equal(classifier(module, images, PLAIN).features(images, "2"), module(images))


def test_gradients_of_a_loss_of_features_are_autograds(trained: nn.Module, shadows: Images) -> None:
    images = shadows[0][:5]
    leaf = images.clone().requires_grad_(True)
    features = trained[:3](leaf)  # type: ignore[index]
    logits = trained[3:](features.clone())  # type: ignore[index]
    at_image, at_layer = torch.autograd.grad(
        (logits[:, 0] + features.square().sum(dim=(1, 2, 3))).sum(), (leaf, features)
    )
    counted = classifier(trained, images)
    found = counted.layer_gradient(images, lambda y, x: y[:, 0] + x.square().sum(dim=(1, 2, 3)), "2")
    torch.testing.assert_close(found.gradient, at_image)
    torch.testing.assert_close(found.at_layer, at_layer)
    assert torch.equal(found.features, features)
    assert torch.equal(found.logits, logits)
    assert not any(tensor.requires_grad for tensor in found)
    assert passes(counted) == (5, 5)
    # What the loss does not see has no gradient there.
    assert not counted.layer_gradient(images, lambda _, x: x.sum(dim=1), "penultimate").at_layer.eq(0).any()
    assert counted.layer_gradient(images, lambda _, x: x.sum(dim=(1, 2, 3)), "0").gradient.any()


def test_an_unknown_layer_is_answered_with_the_nearest_and_the_others(trained: nn.Module, shadows: Images) -> None:
    counted = classifier(trained, shadows[0])
    assert counted.layers[:2] == ("penultimate", "0")
    with pytest.raises(
        PluginError, match=r"the model has no layer '4\.conv3'; did you mean '4\.conv[12]'\?; its layers: "
    ):
        counted.features(shadows[0][:2], "4.conv3")
    with pytest.raises(PluginError, match=r"no layer 'res5b_relu'; its layers: penultimate, 0, 1, 2, "):
        counted.features(shadows[0][:2], "res5b_relu")
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in counted.original.modules())


class Pair(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return x, x


class Unused(nn.Module):
    """A layer that puts out two tensors, one that is left out of a pass, and none that is linear."""

    def __init__(self) -> None:
        super().__init__()
        self.pair, self.spare = Pair(), nn.ReLU()

    def forward(self, images: Tensor) -> Tensor:
        return self.pair(images)[0].flatten(1)[:, :3]


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ("pair", "layer 'pair' puts out a tuple, not one tensor"),
        ("spare", "layer 'spare' plays no part when the model is evaluated"),
        ("penultimate", "no linear layer or convolution; name the layer: penultimate, pair, spare"),
    ],
)
def test_a_layer_without_one_output_is_refused(shadows: Images, layer: str, said: str) -> None:
    with pytest.raises(PluginError, match=said):
        classifier(Unused(), shadows[0], PLAIN).features(shadows[0][:2], layer)


def test_bytes_of_activations_are_summed_over_layers() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 3))
    assert activation_bytes(module, torch.zeros(1, 1, 8, 8)) == 4 * (256 + 256 + 256 + 3)
    assert not any(m._forward_hooks for m in module.modules())
