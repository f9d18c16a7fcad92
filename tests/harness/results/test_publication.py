"""What is told of a store: hashed ids, no local paths, and images of data sets that permit it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from medrobust.plugins.registry import Registry
from medrobust.results.publication import Publication, may_redistribute
from medrobust.results.samples import Samples

SAMPLES = Samples(
    ids=np.array(["IMG_1.png", "IMG_2.png", "IMG_3.png"]),
    groups=np.array(["anna", "anna", "bert"]),
    labels=np.array([0, 1, 0]),
    logits=np.zeros((3, 2), np.float32),
    l2=np.zeros(3, np.float32),
    linf=np.zeros(3, np.float32),
)


def test_ids_are_hashes_that_keep_who_is_who() -> None:
    told = Publication().of_samples(SAMPLES)
    assert told.groups is not None
    assert len(set(told.ids)) == 3
    assert told.groups[0] == told.groups[1] != told.groups[2]
    text = " ".join([*told.ids, *told.groups])
    assert not any(word in text for word in ("IMG", "png", "anna", "bert"))
    assert np.array_equal(told.logits, SAMPLES.logits)


def test_two_publications_have_nothing_in_common_that_names_a_patient() -> None:
    first, second = Publication().of_samples(SAMPLES), Publication().of_samples(SAMPLES)
    assert not set(first.ids) & set(second.ids)
    # A name that is a sample and a patient gives two hashes.
    publication = Publication()
    assert publication.ids(["x"])[0] != publication.groups(["x"])[0]


def test_ids_are_told_where_that_is_asked_for() -> None:
    told = Publication(with_ids=True).of_samples(SAMPLES)
    assert told.ids.tolist() == SAMPLES.ids.tolist()
    assert told.groups is not None
    assert told.groups.tolist() == ["anna", "anna", "bert"]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("pgd(steps=7) linf:4/255, eps/10", "pgd(steps=7) linf:4/255, eps/10"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("train[:50%]", "train[:50%]"),
        ("TypeError: no x (mine.py:12)", "TypeError: no x (mine.py:12)"),
        ("net.safetensors#1a2b3c", "net.safetensors#1a2b3c"),
        ("cnn(init=/home/anna/net.pth)", "cnn(init=net.pth)"),
    ],
)
def test_what_is_no_path_stays_and_a_checkpoint_keeps_its_name(text: str, told: str) -> None:
    assert Publication().text(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "/home/anna/scans",
        "~/scans of anna",
        "../anna",
        "C:\\Users\\anna\\scans",
        "\\\\server\\anna",
        "cannot read '/mnt/scans of anna/a.png': no such file",
        "folder(path=/srv/anna)",
        "in:/srv/anna",
        "file:///srv/anna",
        "wards/anna.png is damaged",
        "anna.dcm",
    ],
)
def test_paths_and_names_of_data_files_are_withheld(text: str) -> None:
    told = Publication().text(text)
    assert "anna" not in told
    assert "withheld" in told


def test_a_name_keeps_the_files_that_it_is_made_of() -> None:
    """A grid names the lists of a paper; with another name the cell would be another one."""
    name = "isic2018(test=splits/melanoma_test.csv, mask=/srv/anna/mask.png)"
    told = Publication().label(name)
    assert told.startswith("isic2018(test=splits/melanoma_test.csv, mask=withheld-")
    assert "anna" not in told
    assert "melanoma_test" not in Publication().text(name)


def test_paths_with_blanks_are_known_from_the_records() -> None:
    publication = Publication(paths=("/srv/scans of anna",))
    assert "anna" not in publication.text("folder(path=/srv/scans of anna/left, size=8)")
    assert ", size=8)" in publication.text("folder(path=/srv/scans of anna/left, size=8)")


def test_equal_paths_stay_equal_and_others_stay_apart() -> None:
    publication = Publication()
    assert publication.text("/srv/a") == publication.text("/srv/a") != publication.text("/srv/b")
    value = publication.value({"path": "/srv/a", "/srv/b": [1, "/srv/a"]})
    assert value["path"] == publication.text("/srv/a")
    assert value[publication.text("/srv/b")] == [1, value["path"]]


def test_a_reason_quotes_nothing() -> None:
    publication = Publication()
    assert publication.reason("KeyError: 'anna' of 4/255") == "KeyError: 'withheld' of 4/255"
    assert publication.json("no json") == "withheld"


def registry() -> Registry:
    found = Registry()
    found.load_file(Path(__file__).parents[2] / "tiny.py")
    return found


@pytest.mark.long
@pytest.mark.parametrize(
    ("definition", "permitted"),
    [
        ({"dataset": {"name": "tiny:textures"}, "evaluate_on": "test"}, True),
        ({"dataset": {"name": "tiny:ward"}, "evaluate_on": "test"}, False),
        ({"dataset": {"name": "tiny:textures"}, "evaluate_on": {"dataset": {"name": "tiny:ward"}}}, False),
        ({"dataset": {"name": "tiny:ward"}, "evaluate_on": {"dataset": {"name": "tiny:textures"}}}, True),
        ({"dataset": {"name": "gone:ward"}, "evaluate_on": "test"}, False),
        ({"dataset": "textures"}, False),
        ([], False),
    ],
)
def test_images_need_the_declaration_of_the_data_set_that_they_are_from(definition: object, permitted: bool) -> None:
    text = json.dumps(definition)
    assert may_redistribute(text, registry()) is permitted
    assert Publication(with_images=True).shows_images(text, registry()) is permitted
    assert not Publication().shows_images(text, registry())
