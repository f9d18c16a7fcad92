"""What a bound cannot say is a test in Python."""

from medrobust.pytest import RobustCell, parametrize


@parametrize("fundus.robust.toml")
def test_no_class_is_given_up(cell: RobustCell) -> None:
    for sensitivity in cell.sensitivity_per_class:
        assert sensitivity.value >= 0.3


@parametrize("fundus.robust.toml")
def test_the_numbers_can_be_trusted(cell: RobustCell) -> None:
    assert cell.evidence.sound
