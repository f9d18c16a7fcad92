"""In which words identities differ."""

from __future__ import annotations

from typing import Any

from medrobust.api import distinguish
from medrobust.grid.differences import reason


def identity(**more: Any) -> dict[str, Any]:
    return {
        "target": {
            "model": {"plugin": "medrobust:net", "source": "a" * 16, "init": "w.safetensors", "checkpoint": "b" * 16},
            "train": {"data": {"plugin": "medrobust:scans", "fingerprint": "c"}},
            "threads": 1,
        },
        "attack": {"plugin": "own:pgd", "steps": 5, "source": "d" * 16},
        "revision": 1,
        **more,
    }


def changed(path: str, value: Any) -> dict[str, Any]:
    fields = identity()
    place: Any = fields
    *owners, last = path.split(".")
    for owner in owners:
        place = place[owner]
    place[last] = value
    return fields


def test_what_no_grid_states_is_named_with_its_owner() -> None:
    old = identity()
    assert reason(old, changed("attack.source", "e" * 16)) == "other source of attack 'pgd'"
    assert reason(old, changed("target.model.checkpoint", "e")) == "other weights of model 'net'"
    assert reason(old, changed("target.train.data.fingerprint", "e")) == "other files of training data 'scans'"
    assert reason(old, changed("attack.libraries", {"foolbox": "3"})) == "other library versions under attack 'pgd'"
    assert reason(old, changed("revision", 2)) == "other revision of medrobust's own steps"


def test_what_a_grid_states_is_named_with_its_values() -> None:
    assert reason(identity(), changed("attack.steps", 10)) == "attack.steps 5 instead of 10"


def test_cells_of_equal_labels_are_told_apart_by_the_fields_that_differ() -> None:
    fields = {"a": identity(), "b": changed("target.threads", 2), "c": changed("target.threads", 2)}
    assert distinguish([["a", "b"]], fields.get) == {"a": "threads=1", "b": "threads=2"}
    # One that stands alone is called like its like in another family.
    assert distinguish([["a", "b"], ["c"]], fields.get)["c"] == "threads=2"
    assert distinguish([["a"], ["b"]], fields.get) == {}


def test_of_two_plugins_the_names_are_enough() -> None:
    fields = {"a": identity(), "b": identity(attack={"plugin": "medrobust:pgd", "step_size": 3, "source": "r1"})}
    assert distinguish([["a", "b"]], fields.get) == {"a": "own:pgd", "b": "medrobust:pgd"}


def test_a_group_that_only_some_have_is_one_word() -> None:
    pretrained = {"model": {"plugin": "medrobust:net", "source": "a"}, "train": {"slice": "train", "epochs": 5}}
    fields = {"a": identity(), "b": changed("target.pretrained", pretrained)}
    assert distinguish([["a", "b"]], fields.get) == {"a": "pretrained=none", "b": "pretrained=yes"}


def test_what_is_text_in_one_and_a_group_in_another_is_told() -> None:
    fields = {"a": identity(), "b": changed("target.model.init", {"pretrain_on": {"name": "scans"}, "epochs": 5})}
    assert distinguish([["a", "b"]], fields.get) == {"a": "init=w.safetensors", "b": "init=yes"}


def test_cells_never_share_their_words_whatever_is_known_of_them() -> None:
    assert distinguish([["abcdef12", "fedcba21"]], lambda cell: None) == {
        "abcdef12": "not computed cell abcdef",
        "fedcba21": "not computed cell fedcba",
    }
