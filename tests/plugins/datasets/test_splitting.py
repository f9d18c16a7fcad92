"""Splits hold whole groups, keep the class balance and do not depend on order."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from medrobust_datasets.samples import Label, Sample
from medrobust_datasets.splitting import assign, hold_out


def cohort(patients: int = 300, *, labels: int = 3, split: str | None = None) -> list[Sample]:
    draw = random.Random(0)
    samples = []
    for patient in range(patients):
        for view in range(draw.randint(1, 4)):
            # A patient may show several classes, as in reality.
            label: Label = draw.choices(range(labels), [6, 3, 1][:labels])[0]
            name = f"{patient}_{view}.png"
            samples.append(Sample(name, Path(name), label, split, f"patient {patient}"))
    return samples


def shares(samples: tuple[Sample, ...], label: int) -> dict[str | None, float]:
    count = [sample.split for sample in samples if sample.label == label]
    return {split: count.count(split) / len(count) for split in ("train", "val", "test")}


def test_no_group_crosses() -> None:
    samples = assign(cohort(), val=0.1, test=0.2)
    of = {sample.group: set[str | None]() for sample in samples}
    for sample in samples:
        of[sample.group].add(sample.split)
    assert all(len(splits) == 1 for splits in of.values())


def test_shares_and_classes_are_kept() -> None:
    samples = assign(cohort(), val=0.125, test=0.2)
    for label in range(3):
        assert shares(samples, label) == pytest.approx({"train": 0.7, "val": 0.1, "test": 0.2}, abs=0.06)
    test = sum(sample.split == "test" for sample in samples) / len(samples)
    assert test == pytest.approx(0.2, abs=0.01)


def test_order_of_files_does_not_matter() -> None:
    samples = cohort()
    shuffled = random.Random(1).sample(samples, len(samples))
    first, second = (assign(part, val=0.1, test=0.2) for part in (samples, shuffled))
    assert {s.id: s.split for s in first} == {s.id: s.split for s in second}


def test_a_new_patient_moves_few_others() -> None:
    def held(samples: list[Sample]) -> set[str]:
        return hold_out([s.unit for s in samples], [s.label for s in samples], 0.2, purpose="test")

    assert len(held(cohort(300)) ^ held(cohort(303))) <= 6


def test_published_splits_stay() -> None:
    published = [*cohort(50, split="train"), Sample("t", Path("t"), 0, "test")]
    samples = assign(published, val=0.1, test=0.5)
    assert [sample.id for sample in samples if sample.split == "test"] == ["t"]
    assert any(sample.split == "val" for sample in samples)
    with_val = [*published, Sample("v", Path("v"), 0, "val")]
    assert [sample.id for sample in assign(with_val, val=0.5, test=0.5) if sample.split == "val"] == ["v"]


def test_zero_holds_out_nothing() -> None:
    assert {sample.split for sample in assign(cohort(20), val=0, test=0)} == {"train"}


def test_unlabelled_and_multilabel_images_are_split_too() -> None:
    plain = [Sample(str(i), Path(str(i)), None) for i in range(100)]
    assert sum(sample.split == "test" for sample in assign(plain, val=0, test=0.1)) == 10
    matrix = [Sample(str(i), Path(str(i)), (int(i % 10 == 0), 1, 0)) for i in range(100)]
    held = [sample for sample in assign(matrix, val=0, test=0.2) if sample.split == "test"]
    assert sum(sample.label[0] for sample in held if isinstance(sample.label, tuple)) == 2
    assert len(held) == 20


def test_classes_of_one_image_are_held_out_together() -> None:
    single = [Sample(f"{index}.png", Path(f"{index}.png"), index, None) for index in range(1000)]
    parts = [sample.split for sample in assign(single, val=0.1, test=0.3)]
    assert (parts.count("test"), parts.count("val")) == (300, 70)


def test_a_class_of_one_large_group_stays_whole_in_train() -> None:
    pair = [Sample(f"{index}.png", Path(f"{index}.png"), 1, None, "a pair") for index in range(2)]
    assert {sample.split for sample in assign([*cohort(labels=1), *pair], val=0.1, test=0.2)[-2:]} == {"train"}
