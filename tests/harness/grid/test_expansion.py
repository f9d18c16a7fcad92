"""Cells: what determines a result is its identity, and nothing else is."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from medrobust import DataSource, GridError
from medrobust.api import AXES, Entry, Grid, Plan, Registry
from medrobust.grid import expansion, identity
from medrobust.grid.expansion import expand
from medrobust.grid.identity import difference, digest, flatten
from medrobust.grid.metadata import MetadataCache

from .written import attacked, text

MakeGrid = Callable[..., Grid]


@pytest.fixture
def entries(grid: MakeGrid, core: Registry) -> Callable[..., list[Entry]]:
    """The entries of a grid: the base one with some axes replaced."""

    def make(define: str = "", *, root: Path | None = None, **axes: str) -> list[Entry]:
        return expand(grid(text(define, **axes)), MetadataCache(DataSource(root), core))

    return make


Entries = Callable[..., list[Entry]]


def test_the_clean_record_is_implied_once_per_target_and_part(entries: Entries) -> None:
    found = entries(attack='["sign", "hum"]', budget='["linf:1/255", "linf:2/255"]', seed="[0, 1]")
    clean = [e for e in found if e.cell and e.cell.attack is None]
    assert len(found) == 2 * 2 * 2 + 2
    assert [e.row()["attack"] for e in clean] == ["none", "none"]
    assert {e.row()["seed"] for e in clean} == {"0", "1"}
    assert all(e.row()["budget"] == e.row()["goal"] == "" for e in clean)
    assert {e.cell.clean.id for e in found if e.cell} == {e.cell.id for e in clean if e.cell}


def test_asking_for_the_clean_record_does_not_double_it(entries: Entries) -> None:
    found = entries(
        attack='["none", "sign"]', budget='["linf:1/255", "linf:2/255"]', goal='["untargeted", "predicted"]'
    )
    assert len(found) == 4 + 1


CHANGES = {
    "dataset": ("dataset", '{ name = "textures", size = 12 }'),
    "train set": ("train_set", '"train[:50%]"'),
    "model field": ("model", '{ name = "tiny-net", recipe = { epochs = 5 } }'),
    "instance": ("model", '{ name = "tiny-net", instance = 1 }'),
    "defense": ("defense", '"blur"'),
    "defense field": ("defense", '{ name = "blur", width = 5 }'),
    "attack": ("attack", '"steps"'),
    "attack field": ("attack", '{ name = "steps", steps = 5 }'),
    "derived attack": ("attack", '{ name = "halved", of = "sign" }'),
    "goal": ("goal", '"predicted"'),
    "target": ("goal", '"target:b"'),
    "radius": ("budget", '"linf:5/255"'),
    "box": ("budget", '"linf:4/255 box=none"'),
    "slack": ("budget", '"linf:4/255 slack=1/255"'),
    "percentage": ("budget", '"linf:zeta=4%"'),
    "evaluated part": ("evaluate_on", '"test[:50%]"'),
    "other data": ("evaluate_on", '{ name = "textures", size = 16 }'),
    "thinning": ("images", "8"),
    "seed": ("seed", "1"),
    "threads": ("threads", "2"),
    "split seed": ("split_seed", "1"),
    "stop": ("stop", '"success"'),
    "surrogate": ("surrogate", '{ model = { name = "tiny-net", instance = 4 } }'),
    "surrogate data": ("surrogate", '{ train_set = "train[50%:]" }'),
}


SPELLINGS = ("linf:0.02@[-1,1]", "linf:0.01", "linf:2.55@[0,255]")


def test_a_cell_comes_under_every_name_that_the_grid_gives_it(entries: Entries) -> None:
    found = entries(budget=str(list(SPELLINGS)))
    mine = [e for e in found if e.cell and e.cell.attack]
    assert tuple(e.row()["budget"] for e in mine) == SPELLINGS
    assert len({e.cell.id for e in mine if e.cell}) == 1
    assert len(found) == 3 + 1
    assert len(Plan("g", "", tuple(found)).cells) == 2


def test_a_source_has_every_name_too(entries: Entries) -> None:
    found = entries(surrogate='[{}, { model = "tiny-net" }, { model = { name = "tiny-net", instance = 1 } }]')
    mine = [e for e in found if e.cell and e.cell.attack]
    labels = ["target", "model=tiny-net", "model=tiny-net(instance=1)"]
    assert [e.row()["surrogate"] for e in mine] == labels
    assert len({e.cell.id for e in mine if e.cell}) == 2


def test_a_clean_record_has_one_entry_for_each_name_of_its_target(entries: Entries) -> None:
    define = '[define]\nnet = "tiny-net"'
    found = entries(define, model='["@net", "tiny-net"]', budget='["linf:1/255", "linf:2/255"]')
    clean = [e for e in found if e.cell and e.cell.attack is None]
    assert [e.row()["model"] for e in clean] == ["net", "tiny-net"]
    assert len({e.cell.id for e in clean if e.cell}) == 1


def test_the_same_written_twice_is_one_entry(entries: Entries) -> None:
    assert len(entries(budget='["linf:1/255", "linf:1/255"]')) == 2


def test_an_axis_that_means_nothing_to_an_attack_has_no_label(entries: Entries) -> None:
    found = entries(attack='["sign", "one-for-all", "none"]', craft_on='["train[:50%]", "train[50%:]"]')
    labels = [(e.row()["attack"], e.row()["craft_on"]) for e in found]
    assert labels == [("sign", ""), ("one-for-all", "train[:50%]"), ("one-for-all", "train[50%:]"), ("none", "")]
    left_out = entries(attack='["sign", "one-for-all"]', craft_on='"train[:50%]"', exclude='{ craft_on = "train*" }')
    assert [e.row()["attack"] for e in left_out if e.excluded] == ["one-for-all"]
    barred = entries(attack='["hum", "sign"]', budget='["l2:1", "linf:1/255"]', craft_on='["train", "train[:50%]"]')
    assert len([e for e in barred if e.excluded]) == 1


def test_combinations_are_numbered_in_the_order_of_the_axes() -> None:
    assert expansion._At._fields == AXES


def test_each_thing_that_determines_a_result_changes_its_identity(entries: Entries) -> None:
    identities = {name: attacked(entries(**{axis: value})) for name, (axis, value) in CHANGES.items()}
    identities["base"] = attacked(entries())
    assert all(len(ids) == 1 for ids in identities.values())
    assert len({ids[0] for ids in identities.values()}) == len(CHANGES) + 1


SAME = {
    "alias": ("attack", '"@alias"'),
    "qualified name": ("attack", '"tiny:sign"'),
    "scale": ("budget", '"linf:4@[0,255]"'),
    "default field": ("model", '{ name = "tiny-net", instance = 0, init = "random" }'),
    "default axis": ("goal", '"untargeted"'),
    "tags": ("tags", '{ x = "y" }'),
    "white-box surrogate": ("surrogate", "{}"),
    "craft_on of a native attack": ("craft_on", '"train[:10]"'),
    "the target as its surrogate": ("surrogate", '{ model = "tiny-net" }'),
}


@pytest.mark.parametrize("name", SAME)
def test_what_does_not_determine_a_result_leaves_its_identity(entries: Entries, name: str) -> None:
    axis, value = SAME[name]
    define = '[define]\nalias = { name = "sign" }'
    assert attacked(entries(define, **{axis: value})) == attacked(entries())


def test_a_universal_attack_rests_on_what_it_was_crafted_on(entries: Entries) -> None:
    universal = '"one-for-all"'
    first = attacked(entries(attack=universal))
    assert first != attacked(entries(attack=universal, craft_on='"train[:50%]"'))
    assert first == attacked(entries(attack=universal, craft_on='"train"'))


def test_a_percentage_rests_on_the_targets_training_set(entries: Entries) -> None:
    one, other = '"train[:50%]"', '"train[50%:]"'
    fixed = {"surrogate": f"{{ train_set = {one} }}", "budget": '"linf:zeta=4%"'}
    first, second = (entries(train_set=t, **fixed) for t in (one, other))
    crafted = [e.cell.craft_id for found in (first, second) for e in found if e.cell and e.cell.attack]
    assert len(set(crafted)) == 2
    fixed["budget"] = '"linf:4/255"'
    first, second = (entries(train_set=t, **fixed) for t in (one, other))
    crafted = [e.cell.craft_id for found in (first, second) for e in found if e.cell and e.cell.attack]
    assert len(set(crafted)) == 1


def test_a_surrogate_is_a_patch_of_the_target(entries: Entries) -> None:
    patch = '{ train_set = "train[50%:]", model = { name = "tiny-net", instance = 3 } }'
    (entry,) = [e for e in entries(train_set='"train[:50%]"', seed="7", surrogate=patch) if e.cell and e.cell.attack]
    cell = entry.cell
    assert cell is not None
    assert cell.source is not None
    assert (str(cell.target.train.slice), str(cell.source.train.slice)) == ("train[:50%]", "train[50%:]")
    assert cell.source.model.plugin.instance == 3  # type: ignore[attr-defined]
    assert (cell.source.seed, cell.source.train.dataset) == (7, cell.target.train.dataset)


@pytest.mark.parametrize(("target", "other"), [(0, 1), (1, 0), (5, 0)])
def test_another_instance_is_the_lowest_that_is_not_the_target(entries: Entries, target: int, other: int) -> None:
    model = f'{{ name = "tiny-net", instance = {target} }}'
    (entry,) = [e for e in entries(model=model, surrogate='{ instance = "other" }') if e.cell and e.cell.attack]
    assert entry.cell is not None
    assert entry.cell.source is not None
    assert entry.cell.source.model.plugin.instance == other  # type: ignore[attr-defined]


def test_other_is_another_fit_when_the_training_set_differs(entries: Entries) -> None:
    patch = '{ train_set = "train[50%:]", instance = "other" }'
    (entry,) = [e for e in entries(surrogate=patch) if e.cell and e.cell.attack]
    assert entry.cell is not None
    assert entry.cell.source is not None
    assert entry.cell.source.model.plugin.instance == 0  # type: ignore[attr-defined]


def test_impossible_pairs_are_excluded_with_the_reason(entries: Entries) -> None:
    found = entries(
        attack='["hum", "sign"]', budget='["linf:1/255", "l2:1", "linf:min"]', goal='["untargeted", "target:b"]'
    )
    reasons = {(e.row()["attack"], e.row()["budget"], e.row()["goal"]): e.excluded for e in found}
    assert reasons[("sign", "linf:1/255", "target:b")] == ""
    assert reasons[("sign", "l2:1", "untargeted")] == "attack 'sign' supports the norms linf, not l2"
    assert reasons[("hum", "l2:1", "target:b")] == "attack 'hum' has no targeted form"
    assert "needs a radius" in reasons[("hum", "linf:min", "untargeted")]
    assert all(e.cell is None for e in found if e.excluded)


def test_the_threat_model_of_the_inner_attack_counts(entries: Entries) -> None:
    found = entries(attack='{ name = "halved", of = "sign" }', budget='["l2:1", "linf:1/255"]')
    assert {e.excluded for e in found} == {"", "attack 'sign' supports the norms linf, not l2"}


def test_an_attack_that_can_never_run_is_a_mistake_of_the_grid(entries: Entries) -> None:
    with pytest.raises(GridError) as caught:
        entries(attack='["hum", "sign"]', budget='["l2:1", "l2:2"]')
    assert str(caught.value) == (
        "grid.toml: grid[0].attack: 'sign' cannot run with any budget, goal and data set of this grid: attack 'sign' "
        "supports the norms linf, not l2. Change one of them or leave the attack out"
    )


def test_an_attack_that_the_grid_excludes_itself_is_no_mistake(entries: Entries) -> None:
    found = entries(attack='["hum", "sign"]', budget='"l2:1"', exclude='{ attack = "sign" }')
    assert [e.excluded for e in found if e.row()["attack"] == "sign"] == ["excluded by the grid"]


def test_attacks_need_a_budget(entries: Entries) -> None:
    with pytest.raises(GridError, match=r"grid\[0\]: 'budget' is missing; attacks need one"):
        entries(budget="")
    assert len(entries(budget="", attack='"none"')) == 1


def test_a_target_class_that_nothing_has_is_a_mistake_of_the_grid(entries: Entries) -> None:
    with pytest.raises(GridError, match=r"grid\[0\]\.goal: no class is called 'bb'; did you mean 'b'\?"):
        entries(goal='"target:bb"')


def test_missing_data_makes_its_cells_impossible_and_no_others(entries: Entries, tmp_path: Path) -> None:
    found = entries(dataset='["textures", "ward"]', root=tmp_path)
    impossible = [e for e in found if e.impossible]
    assert [e.row()["dataset"] for e in impossible] == ["ward"]
    assert impossible[0].impossible.startswith(f"the ward's images is neither at {tmp_path}/ward/images nor ")
    assert len(attacked(found)) == 1
    (without_root,) = [e.impossible for e in entries(dataset='["textures", "ward"]') if e.impossible]
    assert "No data root is set: give --data-root or set MEDROBUST_DATA." in without_root


def test_a_data_set_that_breaks_makes_its_cells_impossible_and_no_others(entries: Entries) -> None:
    found = entries(dataset='["textures", { name = "ward", fault = "describe" }]')
    (reason,) = [e.impossible for e in found if e.impossible]
    assert "data set 'ward(fault=describe)' (tiny local file): KeyError: 'patients'" in reason
    assert len(attacked(found)) == 1


def test_a_split_that_is_not_there_is_named(entries: Entries, monkeypatch: pytest.MonkeyPatch) -> None:
    (entry, *_) = entries(evaluate_on='["val", "test"]')
    info = dataclasses.replace(entry.cell.target.info, splits=("train", "test"))  # type: ignore[union-attr]
    monkeypatch.setattr(type(entry.cell.target.train.dataset.plugin), "describe", lambda self, source: info)  # type: ignore[union-attr]
    last = '{ name = "tiny-net", recipe = { select_on = "last" } }'
    (reason,) = [e.impossible for e in entries(evaluate_on='["val", "test"]', model=last) if e.impossible]
    assert reason == "data set 'textures' has no split 'val'; it has train, test"


@pytest.mark.parametrize(
    ("select_on", "reason"),
    [
        ("vall", "recipe.select_on: 'vall': no split is called 'vall'; did you mean 'val'?"),
        (
            "val",
            "recipe.select_on: data set 'textures' has no split 'val'; it has train, test (select_on = \"last\" keeps "
            "the last epoch)",
        ),
    ],
)
def test_the_slice_on_which_an_epoch_is_chosen_must_be_there(
    entries: Entries, monkeypatch: pytest.MonkeyPatch, select_on: str, reason: str
) -> None:
    (entry, *_) = entries()
    info = dataclasses.replace(entry.cell.target.info, splits=("train", "test"))  # type: ignore[union-attr]
    monkeypatch.setattr(type(entry.cell.target.train.dataset.plugin), "describe", lambda self, source: info)  # type: ignore[union-attr]
    found = entries(model=f'{{ name = "tiny-net", recipe = {{ select_on = "{select_on}" }} }}')
    assert {e.impossible for e in found} == {reason}
    assert {e.impossible for e in entries(model='{ name = "tiny-net", recipe = { epochs = 0 } }')} == {""}


def test_a_surrogate_of_other_classes_is_excluded(entries: Entries) -> None:
    three = '{ name = "textures", classes = 3 }'
    found = entries(dataset=f'["textures", {three}]', surrogate=f"{{ dataset = {three} }}", attack='["none", "sign"]')
    reason = "the surrogate has other classes than the target: a, b, c, not a, b"
    assert [e.excluded for e in found if e.excluded] == [reason]
    message = (
        r"surrogate: 'dataset=textures\(classes=3\)' can stand for no target of this grid: the surrogate has other "
        "classes than the target: a, b, c, not a, b. Take one that is trained on data of the target's classes"
    )
    with pytest.raises(GridError, match=message):
        entries(surrogate=f"[{{}}, {{ dataset = {three} }}]", attack='["none", "sign"]')


def test_a_checkpoint_counts_by_content_and_not_by_place(entries: Entries, tmp_path: Path) -> None:
    def cell(folder: str, value: float) -> list[str]:
        root = tmp_path / folder
        root.mkdir()
        torch.save({"w": torch.tensor(value)}, root / "weights.pt")
        return attacked(entries(model='{ name = "tiny-net", init = "weights.pt" }', root=root))

    assert cell("a", 1.0) == cell("b", 1.0)
    assert cell("c", 2.0) != cell("d", 1.0)
    (absent,) = {e.impossible for e in entries(model='{ name = "tiny-net", init = "absent.pt" }')}
    assert absent.startswith("checkpoint 'absent.pt' is not at ")


def test_the_cores_own_steps_belong_to_the_identity(entries: Entries, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {e.cell.id for e in entries() if e.cell}
    for step in ("slice", "fit"):
        monkeypatch.setitem(identity.REVISIONS, step, 99)
        assert not before & {e.cell.id for e in entries() if e.cell}
        monkeypatch.undo()
    monkeypatch.setitem(identity.REVISIONS, "craft", 99)
    after = {e.cell.id for e in entries() if e.cell}
    assert len(before & after) == 1  # the clean record rests on no craft


def test_two_blocks_that_ask_for_one_cell_get_one(grid: MakeGrid, core: Registry) -> None:
    both = grid(text(tags='{ first = "1" }') + text(tags='{ second = "2" }'))
    plan = Plan("g", "", tuple(expand(both, MetadataCache(DataSource(), core))))
    assert len(plan.cells) == 2
    assert [e.tags for e in plan.entries if e.row()["attack"] == "sign"] == [{"first": "1"}, {"second": "2"}]


def test_rows_hold_labels_and_tags(entries: Entries) -> None:
    (entry, clean) = entries('[define]\nalias = "sign"', attack='"@alias"', tags='{ kind = "fast" }')
    row = entry.row()
    assert (row["attack"], row["tags.kind"], row["budget"]) == ("alias", "fast", "linf:4/255")
    assert entry.cell is not None
    assert entry.cell.axes()["attack"] == "sign"
    assert clean.row()["tags.kind"] == "fast"


def test_digest_depends_on_content_alone() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) != digest({"a": "1"})
    assert digest("a", "b") != digest("ab")
    assert len(digest("ü")) == 20


def test_a_difference_names_the_field() -> None:
    old = {"model": {"recipe": {"epochs": 3}}, "gone": 1}
    new = {"model": {"recipe": {"epochs": 4}}, "come": None}
    assert list(flatten(old)) == [("model.recipe.epochs", 3), ("gone", 1)]
    assert difference(old, new) == [("model.recipe.epochs", 3, 4), ("gone", 1, None)]
    assert difference(old, old) == []
