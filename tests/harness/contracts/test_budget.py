"""Lengths and budgets: every scale is converted once, exactly."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medrobust import Budget, BudgetSpec, Length


@pytest.mark.parametrize(
    ("text", "pixels"),
    [
        ("1/255", 1 / 255),
        ("0.3/255", 0.3 / 255),
        (".5", 0.5),
        ("0.02@[-1,1]", 0.01),
        ("0.02 @ [-1, 1]", 0.01),
        ("2.5@[0,255]", 2.5 / 255),
        ("0.0024@/128", 0.3072 / 255),
        ("1e-2@[0,1]", 0.01),
        ("0", 0.0),
    ],
)
def test_a_length_is_converted_to_pixels_in_0_1(text: str, pixels: float) -> None:
    assert Length.parse(text).resolve() == pytest.approx(pixels, rel=1e-15)


def test_numbers_of_toml_are_lengths_too() -> None:
    assert Length.parse(0.25).resolve() == 0.25
    assert Length.parse(1).resolve() == 1.0


def test_relative_lengths_resolve_against_what_they_refer_to() -> None:
    assert Length.parse("zeta=4%").resolve(mean_norm=50.0) == 2.0
    assert Length.parse("eps/10").resolve(eps=0.3) == pytest.approx(0.03)
    assert Length.parse("2.5*eps/40").resolve(eps=0.8) == pytest.approx(0.05)
    assert Length.parse("eps").resolve(eps=0.7) == 0.7
    with pytest.raises(ValueError, match="'zeta=4%' needs a training set"):
        Length.parse("zeta=4%").resolve(eps=1.0)
    with pytest.raises(ValueError, match="needs a budget with a radius"):
        Length.parse("eps/2").resolve(mean_norm=1.0)


@pytest.mark.parametrize("text", ["0.02@[-1,1]", "0.01", "1/100", "2.55@[0,255]", "1e-2", "0.010"])
def test_equal_lengths_are_equal_however_they_are_written(text: str) -> None:
    assert Length.parse(text).canonical == Length.parse("0.01").canonical


def test_a_length_keeps_the_text_it_was_written_as() -> None:
    assert str(Length.parse("0.02@[-1,1]")) == "0.02@[-1,1]"
    assert Length.parse(Length.parse("1/255")).text == "1/255"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a valid length; write 1/255"),
        ("-1/255", "is not a valid length"),
        ("one", "is not a valid length"),
        ("nan", "is not a valid length"),
        ("1/255/2", "is not a valid length"),
        ("1@[0,128]", r"unknown scale '@\[0,128\]'.*valid: @\[0,1\], @\[0,255\], @\[-1,1\], @/128"),
        ("1/0", "division by zero"),
        ("eps/0", "division by zero"),
        ("zeta=4", "is not a valid length"),
        (True, "is not a valid length"),
    ],
)
def test_what_is_no_length_is_refused_with_the_accepted_forms(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Length.parse(text)


numbers = st.fractions(min_value=0, max_value=1000, max_denominator=1000)
shares = st.fractions(min_value=0, max_value=1, max_denominator=1000)


@given(numbers)
def test_grey_levels_and_pixels_agree(number: Fraction) -> None:
    levels = Length.parse(f"{number.numerator}/{number.denominator}@[0,255]")
    assert levels.value == number / 255
    assert levels.value == Length.parse(f"{number.numerator}/{number.denominator}@[-1,1]").value * 2 / 255


@given(shares, st.sampled_from(["linf", "l2", "l1"]), st.booleans())
def test_a_budget_reads_what_it_writes(number: Fraction, norm: str, bounded: bool) -> None:
    text = f"{norm}:{number.numerator}/{number.denominator}" + ("" if bounded else " box=none")
    budget = BudgetSpec.parse(text)
    assert str(budget) == text
    assert BudgetSpec.parse(str(budget)).canonical == budget.canonical


@pytest.mark.parametrize("text", ["unbounded", "unbounded box=none", "l0:20", "l0:min", "l1:min", "l2:min"])
def test_a_budget_without_a_length_reads_what_it_writes(text: str) -> None:
    budget = BudgetSpec.parse(text)
    assert str(budget) == text
    assert budget.minimal is budget.resolve().minimal is text.endswith("min")
    assert budget.resolve().eps == (20 if text == "l0:20" else None)


def test_a_budget_resolves_to_pixels_box_and_slack() -> None:
    assert BudgetSpec.parse("linf:1/255").resolve() == Budget("linf", 1 / 255, (0.0, 1.0), 0.0)
    assert BudgetSpec.parse("l2:2 box=none slack=1/255").resolve() == Budget("l2", 2.0, None, 1 / 255)
    assert BudgetSpec.parse("l2:min").resolve() == Budget("l2", None)
    assert BudgetSpec.parse("linf:0.1 slack=eps/10").resolve().slack == pytest.approx(0.01)
    assert BudgetSpec.parse("l2:zeta=4%").resolve(25.0).eps == 1.0


def test_only_a_percentage_needs_the_training_set() -> None:
    assert BudgetSpec.parse("l2:zeta=4%").needs_training_set
    assert not BudgetSpec.parse("l2:min").needs_training_set
    assert not BudgetSpec.parse("linf:1/255").needs_training_set


def test_budgets_differ_in_norm_radius_box_and_slack() -> None:
    texts = ["linf:1/255", "l2:1/255", "linf:2/255", "linf:1/255 box=none", "linf:1/255 slack=1/255", "linf:zeta=1%"]
    assert len({BudgetSpec.parse(t).canonical for t in texts}) == len(texts)
    same = ["linf:0.02@[-1,1]", "inf:0.01", "Linf:1/100 box=[0,1]"]
    assert len({BudgetSpec.parse(t).canonical for t in same}) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a valid budget"),
        ("1/255", "must begin with a norm and a colon: one of linf, l2, l1, l0"),
        ("l3:1/255", "must begin with a norm"),
        ("linf:", "is not a valid length"),
        ("linf:eps/2", "cannot be given as a multiple of eps"),
        ("linf:1/255 box=[0,2]", r"unknown option 'box=\[0,2\]'.*valid: box=none"),
        ("linf:1/255 slak=1", "unknown option 'slak=1'"),
        ("linf:8", r"radius of 'linf:8' is larger than the whole range of pixels.* did you mean 'linf:8/255'\?"),
        ("linf:0.3 slack=2", "slack of .* is larger than the whole range .* did you mean 'slack=2/255'?"),
        ("linf:300@[0,255]", "larger than the whole range of pixels, 0 to 1$"),
        ("unbounded:1", "'unbounded' has no radius"),
        ("l0:0.5", "is a number of values that may change: write a whole number"),
        ("l0:zeta=4%", "write a whole number"),
        (3, "is not a valid budget"),
    ],
)
def test_what_is_no_budget_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BudgetSpec.parse(text)


@pytest.mark.parametrize("text", ["linf:1", "linf:2@[-1,1] box=none", "l2:8", "l1:100", "linf:zeta=4%"])
def test_a_radius_that_images_can_have_is_taken(text: str) -> None:
    assert str(BudgetSpec.parse(text)) == text
