"""A network and images of a running program: as good as plugins in a file, and known again when they come back."""

from __future__ import annotations

import copy
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from medrobust import DataError, ImageData, MedrobustError, ModelError
from medrobust.api import Outcome, Record, Session, image_data
from medrobust.errors import ExecutorError

PLAIN = {"grid": [{"dataset": "bars", "model": "mine", "attack": "steps", "budget": ["linf:0", "linf:0.3"]}]}
SHAPE = (1, 8, 8)


class Sums(nn.Module):
    """Two classes by the brightness of the left and of the right half."""

    def __init__(self, scale: float = 10.0) -> None:
        super().__init__()
        self.scale = scale
        self.linear = nn.Linear(64, 2, bias=False)
        halves = torch.zeros(2, 8, 8)
        halves[0, :, :4] = halves[1, :, 4:] = 1 / 32
        with torch.no_grad():
            self.linear.weight.copy_(halves.flatten(1))

    def forward(self, images: Tensor) -> Tensor:
        return torch.as_tensor(self.scale * self.linear(images.flatten(1)))


def bars(count: int = 20) -> ImageData:
    """Images that are brighter on the left (class 0) or on the right (class 1)."""
    labels = np.arange(count) % 2
    images = np.full((count, 8, 8), 100, np.uint8)
    images[labels == 0, :, :4] += 40
    images[labels == 1, :, 4:] += 40
    return image_data(images, labels)


@pytest.fixture
def session(tmp_path: Path, tiny: Path) -> Session:
    session = Session(tmp_path / "store", (tiny,), device="cpu", cache=tmp_path / "cache")
    session.add_dataset("bars", {"test": bars()}, classes=("left", "right"))
    return session


def run(session: Session, module: nn.Module, grid: dict[str, Any] = PLAIN) -> tuple[Outcome, dict[str, Record]]:
    session.add_model("mine", module, shape=SHAPE)
    plan = session.plan(grid)
    outcome = session.run(plan)
    records = dict(session.store.records(list(plan.cells)))
    return outcome, {str(plan.cells[cell].budget): record for cell, record in records.items()}


def test_a_live_network_is_attacked(session: Session) -> None:
    outcome, records = run(session, Sums())
    assert outcome.complete, outcome.problems
    assert outcome.made == 3
    assert (records["linf:0"].adversarial.argmax(1) == records["linf:0"].labels).all()
    assert not (records["linf:0.3"].adversarial.argmax(1) == records["linf:0.3"].labels).any()


def test_the_store_names_it_and_holds_no_image(session: Session, tmp_path: Path) -> None:
    run(session, Sums())
    rows = session.store.cells(["model", "dataset", "identity"])
    assert set(rows["model"]) == {"mine"}
    assert set(rows["dataset"]) == {"bars"}
    assert all("memory:mine" in text for text in rows["identity"])
    assert not (tmp_path / "cache").exists()


def test_the_same_network_is_known_again(session: Session, tmp_path: Path, tiny: Path) -> None:
    run(session, Sums())
    again = Session(tmp_path / "store", (tiny,), device="cpu")
    again.add_dataset("bars", {"test": bars()}, classes=("left", "right"))
    outcome, _ = run(again, Sums())
    assert (outcome.cached, outcome.made) == (3, 0)


@pytest.mark.parametrize("change", ["weight", "attribute", "method"])
def test_another_network_under_the_same_name_is_computed(session: Session, change: str) -> None:
    module = Sums()
    run(session, module)
    if change == "weight":
        with torch.no_grad():
            module.linear.weight.neg_()
    elif change == "attribute":
        module.scale = -10.0
    else:
        module.forward = lambda images: -Sums.forward(module, images)  # type: ignore[method-assign]
    outcome, records = run(session, module)
    assert outcome.made == 3
    assert not (records["linf:0"].adversarial.argmax(1) == records["linf:0"].labels).any()


def test_training_on_after_the_hand_in_changes_nothing(session: Session) -> None:
    module = Sums()
    session.add_model("mine", module, shape=SHAPE)
    with torch.no_grad():
        module.linear.weight.neg_()
    plan = session.plan(PLAIN)
    session.run(plan)
    clean = next(r for _, r in session.store.records(list(plan.cells)))
    assert (clean.clean.argmax(1) == clean.labels).all()


def test_a_class_without_a_source_is_computed_each_time(session: Session) -> None:
    space: dict[str, Any] = {"nn": nn, "__name__": "__main__"}
    exec("class Typed(nn.Sequential): pass", space)
    module = space["Typed"](nn.Flatten(), nn.Linear(64, 2))
    assert run(session, module)[0].made == 3
    assert run(session, copy.deepcopy(module))[0].made == 3


def test_shared_weights_are_kept(session: Session) -> None:
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 64), nn.Linear(64, 2))
    module[3].weight = module[1].weight
    assert run(session, module)[0].complete


def test_its_own_seeds_decide_over_a_declared_random_network(session: Session) -> None:
    module = nn.Sequential(Sums(), nn.Identity())
    session.add_model("mine", module, shape=SHAPE, stochastic=True)
    plan = session.plan(PLAIN)
    assert all(cell.target.stochastic for cell in plan.cells.values())


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Flatten(start_dim=2), "must give logits"),
        (nn.Sequential(nn.Flatten(), nn.Linear(63, 2)), "does not take float32 images (n, 1x8x8)"),
    ],
)
def test_what_is_no_classifier_is_refused_at_once(session: Session, module: nn.Module, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        session.add_model("mine", module, shape=SHAPE)
    assert words in str(caught.value)


def test_another_number_of_classes_is_said(session: Session) -> None:
    outcome, _ = run(session, nn.Sequential(nn.Flatten(), nn.Linear(64, 5)))
    assert any("gives 5 logits an image; the data set has 2 classes" in reason for *_, reason in outcome.problems)


def test_another_process_says_what_it_lacks(session: Session, tmp_path: Path, tiny: Path) -> None:
    session.add_model("mine", Sums(), shape=SHAPE)
    other = Session(tmp_path / "store", (tiny,), device="cpu")
    with pytest.raises(MedrobustError, match="no dataset is called 'bars'"):
        other.plan(PLAIN)


def test_an_executor_of_other_processes_is_refused_before_anything_runs(tmp_path: Path, tiny: Path) -> None:
    with ProcessPoolExecutor(1) as elsewhere:
        session = Session(tmp_path / "store", (tiny,), device="cpu", cache=tmp_path / "cache", executor=elsewhere)
        session.add_dataset("bars", {"test": bars()}, classes=("left", "right"))
        with pytest.raises(ExecutorError, match=r"model 'mine': handed in by a program.* Leave out the executor"):
            run(session, Sums())
    assert session.store.cells([]).empty
    with ThreadPoolExecutor(1) as here:
        session.executor = here
        outcome, _ = run(session, Sums())
    assert outcome.complete


def test_floats_and_bytes_of_one_image_are_equal() -> None:
    data = bars()
    floats = torch.from_numpy(data.images).permute(0, 3, 1, 2) / 255
    assert np.array_equal(image_data(floats).images, data.images)
    fine = image_data(np.full((1, 8, 8), 0.1234, np.float32)).images
    assert fine.dtype == np.uint16
    assert abs(fine / 65535 - 0.1234).max() <= 1 / 131070 + 1e-9


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (np.zeros((2, 3, 8, 3), np.uint8), "both the second and the last axis"),
        (np.zeros((2, 5, 8, 7), np.uint8), "no axis has 1 or 3 channels"),
        (np.full((2, 8, 8), 2.0), "must lie in [0, 1]"),
        (np.full((2, 8, 8), np.nan), "must lie in [0, 1]"),
        (np.zeros((2, 8, 8), np.int64), "got int64"),
        (np.zeros((8, 8), np.uint8), "must have shape"),
    ],
)
def test_other_arrays_are_refused(images: Any, words: str) -> None:
    with pytest.raises(DataError) as caught:
        image_data(images)
    assert words in str(caught.value)


def test_splits_are_known_and_of_one_size(session: Session) -> None:
    with pytest.raises(DataError, match="splits are train, val, test; got tset"):
        session.add_dataset("bars", {"tset": bars()}, classes=("left", "right"))
    wide = image_data(np.zeros((2, 8, 9), np.uint8), [0, 1])
    with pytest.raises(DataError, match="one size and colour"):
        session.add_dataset("bars", {"train": bars(), "test": wide}, classes=("left", "right"))


def test_images_numbered_in_each_split_anew_are_told_apart(session: Session) -> None:
    session.add_dataset("both", {"train": bars(), "test": bars()}, classes=("left", "right"))
    session.add_model("mine", Sums(), shape=SHAPE)
    plan = session.plan({"grid": [{"dataset": "both", "model": "mine"}]})
    assert session.run(plan).complete
    ((_, record),) = session.store.records(list(plan.cells))
    assert record.ids[0] == "test-00"


@pytest.mark.parametrize("declared", [False, True])
def test_a_patient_in_two_splits_is_found_unless_that_is_declared(session: Session, declared: bool) -> None:
    data = bars()
    splits = {
        split: ImageData(data.images, data.labels, np.char.add(split, data.ids), np.array(["p"] * 19 + [split]))
        for split in ("train", "test")
    }
    session.add_dataset("both", splits, classes=("left", "right"), shared_groups=declared)
    session.add_model("mine", Sums(), shape=SHAPE)
    plan = session.plan({"grid": [{"dataset": "both", "model": "mine"}]})
    assert bool(plan.cells) == declared
    if not declared:
        (entry,) = plan.entries
        assert "1 group (patient) has images in 'train' and in 'test', such as 'p'" in entry.impossible
