"""Names of augmentations: read with their amounts, refused with the nearest name."""

from __future__ import annotations

import pytest

from medrobust.contracts.augmentation import parse_augmentation


def test_augmentations_are_read_with_their_amounts() -> None:
    assert parse_augmentation("hflip") == ("hflip", 0.5)
    assert parse_augmentation("rotate:10") == ("rotate", 10.0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rotat:5", r"no augmentation is called 'rotat'; did you mean 'rotate'\?"),
        ("rotate:much", "'rotate:much': the amount must be a number, such as 'rotate:5'"),
        ("rotate:200", "'rotate:200': the amount must be between 0 and 180"),
        ("shift:-0.1", "'shift:-0.1': the amount must be between 0 and 1"),
        ("scale:1", "'scale:1': the amount must be between 0 and 0.9"),
        ("hflip:nan", "the amount must be between 0 and 1"),
    ],
)
def test_what_is_no_augmentation_is_refused(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        parse_augmentation(text)
