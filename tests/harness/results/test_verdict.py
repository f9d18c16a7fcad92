"""The host's verdict: what comes from an attack is measured, never believed."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from medrobust import Budget
from medrobust.results.verdict import budget_fault, form_fault, logits_fault, norms

IMAGES = torch.linspace(0.2, 0.8, 3 * 2 * 4 * 4).reshape(3, 2, 4, 4)


def fault(adversarial: Tensor, budget: Budget, images: Tensor = IMAGES) -> str | None:
    return budget_fault(adversarial, images, norms(images, adversarial, budget.norm), budget)


def test_norms_are_those_of_linear_algebra() -> None:
    delta = torch.zeros_like(IMAGES)
    delta[0, 0, 0, :2] = torch.tensor([0.03, -0.04])
    for norm, bounded in (("l2", 0.05), ("linf", 0.04), ("l1", 0.07), ("l0", 2.0)):
        measured = norms(IMAGES, IMAGES + delta, norm)
        assert float(measured.of(norm)[0]) == pytest.approx(bounded, abs=1e-6)
        assert float(measured.l2[0]) == pytest.approx(0.05, abs=1e-6)
        assert float(measured.linf[0]) == pytest.approx(0.04, abs=1e-6)
        assert measured.of(norm)[1:].tolist() == [0.0, 0.0]


def test_what_no_budget_bounds_is_measured_in_every_norm_and_held_to_the_box() -> None:
    moved = IMAGES.clone()
    moved[0] = 1 - moved[0]
    measured = norms(IMAGES, moved, "unbounded")
    assert {name: len(values) for name, values in measured.kept().columns().items()} == dict.fromkeys(
        ("l2", "linf", "l1", "l0"), 3
    )
    assert float(measured.of("l0")[0]) == moved[0].numel()
    assert norms(IMAGES, moved, "linf").columns().keys() == {"l2", "linf"}
    assert fault(moved, Budget("unbounded", None)) is None
    assert "leaves the box" in str(fault(moved[:1] + 1, Budget("unbounded", None), IMAGES[:1]))


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "returned NoneType, not a tensor"),
        ([IMAGES], "returned list, not a tensor"),
        (IMAGES.numpy(), "returned ndarray, not a tensor"),
        (IMAGES[:2], r"returned shape \(2, 2, 4, 4\) for images of shape \(3, 2, 4, 4\)"),
        (IMAGES[:, :1], "returned shape"),
        (IMAGES.double(), "returned torch.float64, not torch.float32"),
        (torch.where(IMAGES > 0.7, float("nan"), IMAGES), "NaN or infinite pixels in 1 of 3 images"),
        (IMAGES / 0, "NaN or infinite pixels in 3 of 3 images"),
    ],
)
def test_form(returned: object, message: str) -> None:
    found = form_fault(returned, IMAGES)
    assert found is not None
    assert re.search(message, found)


def test_sound_images_have_no_fault() -> None:
    moved = (IMAGES + 0.1 * torch.sign(torch.randn(IMAGES.shape, generator=torch.Generator().manual_seed(0)))).clamp(
        0, 1
    )
    assert form_fault(moved, IMAGES) is None
    assert fault(moved, Budget("linf", 0.1)) is None
    assert fault(IMAGES, Budget("l2", 0.0)) is None


def test_leaving_the_budget_is_named_with_the_worst_value() -> None:
    moved = IMAGES.clone()
    moved[1] += 0.05
    assert fault(moved, Budget("linf", 0.04)) == "1 of 3 images leave the budget: linf up to 0.05, allowed 0.04"
    assert fault(moved, Budget("l2", 0.2)) is not None
    assert fault(moved, Budget("l2", 0.05 * 32**0.5)) is None


@pytest.mark.parametrize("eps", [1 / 255, 0.3 / 255, 8 / 255, 1.0])
def test_rounding_of_float32_is_no_offence_and_a_thousandth_is(eps: float) -> None:
    images = torch.rand(4, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * (1 - eps)
    assert fault(images + eps, Budget("linf", eps), images) is None
    assert fault((images + eps * 1.001).clamp(max=1), Budget("linf", eps * 0.9985), images) is not None
    assert fault(images + eps * 1.001 + 2e-6, Budget("linf", eps, box=None), images) is not None


def test_declared_slack_is_granted_per_pixel() -> None:
    moved = IMAGES + 0.05
    assert fault(moved, Budget("linf", 0.04, slack=0.011)) is None
    assert fault(moved, Budget("linf", 0.04, slack=0.009)) is not None
    pixels = IMAGES[0].numel()
    assert fault(moved, Budget("l2", 0.04 * pixels**0.5, slack=0.0101)) is None
    assert fault(moved, Budget("l2", 0.04 * pixels**0.5, slack=0.0099)) is not None
    assert fault(moved, Budget("l1", 0.04 * pixels, slack=0.0101)) is None
    assert fault(moved, Budget("l0", 3.0, slack=1.0)) is not None


def test_the_box_holds_unless_it_is_given_up() -> None:
    moved = IMAGES + 0.3
    assert fault(moved, Budget("linf", 0.5)) == "1 of 3 images leave the box [0, 1]: pixels from 0.5 to 1.1"
    assert fault(moved, Budget("linf", 0.5, box=None)) is None


def test_minimal_norm_attacks_have_no_radius_but_a_box() -> None:
    assert fault(IMAGES + 0.15, Budget("l2", None)) is None
    assert "leave the box" in (fault(IMAGES - 0.3, Budget("l2", None)) or "")


def test_an_image_that_lies_outside_the_box_itself_is_not_the_attacks_fault() -> None:
    outside = IMAGES * 1.5
    assert float(outside.max()) > 1.1
    assert fault(outside, Budget("linf", 0.0), outside) is None
    assert fault(outside + 0.01, Budget("linf", 0.01), outside) is not None


def test_logits_of_a_broken_model_are_a_fault() -> None:
    assert logits_fault(torch.zeros(3, 2), 3, 2) is None
    assert logits_fault(torch.zeros(3, 4), 3, 2) == "the model returned shape (3, 4), expected (3, 2)"
    assert logits_fault(torch.tensor([[0.0, float("inf")]]), 1, 2) == "the model returned NaN or infinite logits"
