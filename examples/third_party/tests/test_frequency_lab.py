"""What the two are for: changes are coarse, and logits are those of noisy copies."""

from __future__ import annotations

import pytest
import torch
from frequency_lab.dct import basis, low_pass
from frequency_lab.low_frequency_pgd import LowFrequencyPGD
from frequency_lab.randomised_smoothing import RandomisedSmoothing

from medrobust import Budget, SampleRNG
from medrobust.testing import SITUATIONS, TinyNetwork, tiny_images


def test_the_basis_is_orthonormal() -> None:
    rows = basis(16, 16, torch.zeros(1))
    assert torch.allclose(rows @ rows.T, torch.eye(16), atol=1e-6)


def test_what_is_coarse_already_stays() -> None:
    images = low_pass(tiny_images(3), 0.5)
    assert torch.allclose(low_pass(images, 0.5), images, atol=1e-6)
    assert torch.allclose(low_pass(images, 1.0), images, atol=1e-6)


@pytest.mark.parametrize("share", [0.125, 0.25, 0.5])
def test_the_perturbation_has_no_high_frequency(share: float) -> None:
    situation = SITUATIONS[0]
    images = situation.images * 0.5 + 0.25  # so far from the box that nothing is cut off
    rng = SampleRNG.for_ids(0, situation.ids)
    attack = LowFrequencyPGD(share=share, steps=3)
    found = attack.perturb(situation.classifier(), images, situation.goal(), Budget("linf", 8 / 255), rng) - images
    assert found.abs().max() > 4 / 255
    fine = found - low_pass(found, share)
    assert fine.norm() < 0.25 * found.norm()  # what clamping to the radius adds


def test_smoothing_is_the_mean_over_noisy_copies() -> None:
    network, images = TinyNetwork(1, 2), tiny_images(4)
    smoothed = RandomisedSmoothing(deviation=0.05, copies=3).wrap(network)
    generator = torch.Generator().manual_seed(0)
    copies = [network(images + 0.05 * torch.randn(images.shape[1:], generator=generator)) for _ in range(3)]
    assert torch.allclose(smoothed(images), torch.stack(copies).mean(dim=0), atol=1e-5)
    assert not torch.allclose(smoothed(images), network(images), atol=1e-3)
