"""Pre- and postprocessors of ART around a model."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.defences.postprocessor import ReverseSigmoid
from art.defences.preprocessor import FeatureSqueezing, SpatialSmoothing
from torch import nn

from medrobust import PluginError
from medrobust_defenses.art_defenses import ARTDefenses

pytestmark = pytest.mark.filterwarnings("ignore")
X = torch.rand((3, 1, 8, 8), generator=torch.Generator().manual_seed(0))


def net(outputs: int) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, outputs)).eval().requires_grad_(False)


def test_a_preprocessor_stands_before_the_model_and_passes_its_gradient() -> None:
    module = net(3)
    for name, theirs in (
        ("FeatureSqueezing", FeatureSqueezing((0, 1), bit_depth=8)),
        ("SpatialSmoothing", SpatialSmoothing(channels_first=True, clip_values=(0, 1))),
    ):
        wrapped = ARTDefenses().plugin(name)().wrap(module)
        expected = module(torch.as_tensor(theirs(X.numpy())[0], dtype=torch.float32))
        torch.testing.assert_close(wrapped(X), expected)
        leaf = X.clone().requires_grad_(True)
        (gradient,) = torch.autograd.grad(wrapped(leaf)[:, 0].sum(), leaf)
        assert torch.allclose(gradient[0].flatten(), module[1].weight[0])  # straight through, as ART estimates it


def test_a_postprocessor_changes_probabilities() -> None:
    module = net(3)
    wrapped = ARTDefenses().plugin("ReverseSigmoid")(gamma=0.2).wrap(module)
    expected = ReverseSigmoid(gamma=0.2)(module(X).softmax(dim=1).numpy())
    np.testing.assert_allclose(
        wrapped(X).softmax(dim=1).numpy(), expected / expected.sum(axis=1, keepdims=True), atol=1e-5
    )
    single = net(1)
    rounded = ARTDefenses().plugin("Rounded")(decimals=1).wrap(single)
    assert torch.allclose(rounded(X).sigmoid(), single(X).sigmoid().mul(10).round() / 10, atol=1e-5)


def test_random_ones_say_so_and_those_that_cannot_be_had_why() -> None:
    provider = ARTDefenses()
    assert provider.plugin("TotalVarMin").stochastic
    assert not provider.plugin("JpegCompression").stochastic
    assert not {"Mixup", "GaussianAugmentation", "VideoCompression"} & set(provider.names())
    for name in {"ThermometerEncoding", "PixelDefend"} & set(provider.names()):
        with pytest.raises(PluginError):
            provider.plugin(name)
