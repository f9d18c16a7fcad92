"""The input scale: how it is declared, and how it is found out."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import ModelError
from medrobust.judging.inputs import KNOWN, UNIT, find_scale, parse_input


class Window(nn.Module):
    """Knows the class only where the mean of what it is given lies where it should."""

    def __init__(self, scale: str) -> None:
        super().__init__()
        self.scale = parse_input(scale)

    def forward(self, given: Tensor) -> Tensor:
        mean = torch.tensor(self.scale.mean or (0.0,)).mean()
        width = torch.tensor(self.scale.deviation or (1.0,)).mean()
        back = given * width + mean
        knows = ((back.mean(dim=(1, 2, 3)) - 0.5).abs() < 0.05)[:, None]
        halves = torch.stack([half.mean(dim=(1, 2, 3)) for half in back.chunk(2, dim=3)], dim=1)
        return torch.where(knows, halves, torch.tensor([1.0, 0.0]))


def images() -> tuple[Tensor, np.ndarray]:
    labels = np.arange(60) % 2
    pixels = torch.full((60, 3, 8, 8), 0.5)
    for place in (0, 1):
        mine = torch.from_numpy(labels == place)
        pixels[mine, :, :, 4 * place : 4 * place + 4] += 0.05
        pixels[mine, :, :, 4 - 4 * place : 8 - 4 * place] -= 0.05
    return pixels, labels


@pytest.mark.parametrize("name", ["unit", "imagenet", "centre", "bytes"])
def test_each_known_scale_is_found_out(name: str) -> None:
    pixels, labels = images()
    found = find_scale(Window(name), pixels, labels, "multiclass", 2)
    assert found.score(parse_input(name)) == 1.0
    if name == "unit":
        assert (found.scale, found.better) == (UNIT, False)
    else:
        assert found.better
        assert found.scale.name == name


def test_what_is_declared_is_held_against_the_others() -> None:
    pixels, labels = images()
    found = find_scale(Window("unit"), pixels, labels, "multiclass", 2, parse_input("bytes"))
    assert found.better
    assert found.scale == UNIT


def test_scales_that_make_no_difference_are_named_so() -> None:
    pixels, labels = images()
    invariant = nn.Sequential(nn.InstanceNorm2d(3), Halves())
    found = find_scale(invariant, pixels, labels, "multiclass", 2)
    assert found.scale == UNIT
    assert {scale.name for scale in found.alike} >= {scale.name for scale in KNOWN} - {"unit"}


class Halves(nn.Module):
    def forward(self, maps: Tensor) -> Tensor:
        return torch.stack([half.mean(dim=(1, 2, 3)) for half in maps.chunk(2, dim=3)], dim=1)


def test_a_normalisation_of_ones_own() -> None:
    scale = parse_input("mean=0.5/0.4/0.3 std=0.2/0.2/0.1")
    seen = scale.around(nn.Identity(), 3)(torch.full((1, 3, 2, 2), 0.5))
    assert torch.allclose(seen[0, :, 0, 0], torch.tensor([0.0, 0.5, 2.0]))
    grey = parse_input("mean=0.5, std=0.25").around(nn.Identity(), 1)(torch.ones(1, 1, 2, 2))
    assert torch.allclose(grey, torch.full((1, 1, 2, 2), 2.0))


@pytest.mark.parametrize("text", ["imagnet", "mean=0.5", "mean=0.5 std=0", "mean=a std=b", "mean=1/2 std=1"])
def test_what_is_no_scale(text: str) -> None:
    with pytest.raises(ModelError, match="is none of unit, imagenet, centre, bytes, xrv, nor mean and deviation"):
        parse_input(text)
