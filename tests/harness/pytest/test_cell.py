"""A cell has every metric as an attribute, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from medrobust import MedrobustError
from medrobust.api import AXES, METRICS, Record, measure
from medrobust.pytest import Evidence, Measured, RobustCell
from medrobust.results.evidence import Check


def cell(attack: str = "pgd", checks: Sequence[Check] = ()) -> RobustCell:
    labels = np.array([0, 1, 2, 0])
    record = Record(
        "multiclass",
        np.array(["a", "b", "c", "d"]),
        labels,
        np.eye(3, dtype=np.float32)[labels],
        np.eye(3, dtype=np.float32)[[0, 1, 1, 1]],
        np.full(4, 0.5, np.float32),
        np.full(4, 0.1, np.float32),
    )
    axes = dict.fromkeys(AXES, "") | {"attack": attack}
    return RobustCell(
        id="1", name="one", class_names=("x", "y", "z"), record=record, evidence=Evidence(tuple(checks)), **axes
    )


@pytest.mark.parametrize("name", METRICS)
def test_every_metric_is_an_attribute(name: str) -> None:
    found, value = getattr(cell(), name), measure(name, cell().record)
    if METRICS[name].axis and value.defined:
        assert [each.found for each in found] == [entry for _, entry in value.entries()]
        return
    (one,) = found if METRICS[name].axis else (found,)
    if value.scalar is None:
        with pytest.raises(MedrobustError, match=f"{name} is undefined: "):
            _ = one.value
        return
    assert one.value == value.scalar
    if value.interval is not None:
        assert (one.lower, one.upper) == value.interval


def test_entries_are_called_after_their_classes_and_bins() -> None:
    assert [each.metric for each in cell().sensitivity_per_class] == [f"sensitivity_per_class({c})" for c in "xyz"]
    assert cell().confusion_matrix[1].metric == "confusion_matrix(x, y)"
    assert cell().asr_by_confidence[0].metric == "asr_by_confidence(0.50 to 0.55)"


def test_what_is_not_there_raises_and_names_the_nearest() -> None:
    with pytest.raises(AttributeError, match="a cell has no attribute 'asrr'; did you mean 'asr'"):
        _ = cell().asrr  # type: ignore[attr-defined]
    with pytest.raises(MedrobustError, match="nothing was attacked here"):
        _ = cell("none").robust_accuracy
    assert not hasattr(cell(), "accuracies")


def test_a_number_and_evidence_are_no_truth_values() -> None:
    with pytest.raises(TypeError, match="asr is no truth value"):
        bool(cell().asr)
    with pytest.raises(TypeError, match="evidence is no truth value"):
        bool(cell().evidence)


def test_evidence_is_sound_if_something_was_checked_and_nothing_is_flagged() -> None:
    with pytest.raises(MedrobustError, match="nothing was checked"):
        _ = cell().evidence.sound
    with pytest.raises(MedrobustError, match="nothing was checked"):
        _ = cell(checks=[Check("a", "not checked")]).evidence.sound
    assert cell(checks=[Check("a", "passed"), Check("b", "not checked")]).evidence.sound
    flagged = cell(checks=[Check("a", "passed"), Check("b", "flagged")]).evidence
    assert not flagged.sound
    assert [check.name for check in flagged.flagged] == ["b"]


def test_a_number_prints_its_interval_and_its_images() -> None:
    assert isinstance(cell().asr, Measured)
    assert str(cell().asr) == "0.500, 95 % interval [0.150, 0.850], 4 images"
    assert str(cell().detection_auc).startswith("undefined (")
