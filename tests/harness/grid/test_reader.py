"""Grids: every axis parses, validates and expands; every error names file, key and remedy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from medrobust import GridError
from medrobust.api import AXES, Grid, Registry, read_grid
from medrobust.grid.blocks import Block, DetectorSpec, GoalSpec, PartSpec, SurrogatePatch

MakeGrid = Callable[..., Grid]
BASE = """
[[grid]]
dataset = "textures"
model = "tiny-net"
"""


def block(grid: MakeGrid, more: str = "", **options: object) -> Block:
    return grid(BASE + more, **options).blocks[0]


def labels(block: Block, axis: str) -> list[str]:
    return [choice.label for choice in block.axes[axis]]


def test_a_grid_needs_no_more_than_data_and_model(grid: MakeGrid) -> None:
    found = block(grid)
    assert tuple(found.axes) == AXES
    assert {axis: labels(found, axis) for axis in AXES} == {
        "dataset": ["textures"],
        "train_set": ["train"],
        "model": ["tiny-net"],
        "defense": ["none"],
        "attack": ["none"],
        "goal": ["untargeted"],
        "budget": [],
        "precision": ["float32"],
        "surrogate": ["target"],
        "craft_on": ["train"],
        "evaluate_on": ["test"],
        "detector": [],
        "seed": ["0"],
    }
    assert (found.stop, found.threads, found.split_seed, len(found)) == ("full", 1, 0, 1)


def test_a_model_of_a_surrogate_is_called_by_its_name_in_the_grid(grid: MakeGrid) -> None:
    """In progress and plans: its fields say little to people."""
    found = grid(
        """
        [define]
        net = { name = "tiny-net", recipe = { epochs = 1 } }
        twin = { model = "@net", instance = 1 }
        [[grid]]
        dataset = "textures"
        model = "@net"
        attack = "sign"
        budget = "linf:1/255"
        surrogate = ["@twin", { model = "@net" }]
        """
    ).blocks[0]
    assert labels(found, "surrogate") == ["twin", "model=net"]
    assert [dict(c.value.patch)["model"].label for c in found.axes["surrogate"]] == ["net", "net"]


def test_every_axis_parses_and_lists_multiply(grid: MakeGrid) -> None:
    found = grid(
        """
        [define]
        patients = { name = "textures", size = 12 }
        strong = { name = "steps", steps = [2, 4] }

        [[grid]]
        dataset = ["@patients", "textures"]
        train_set = ["train[:50%]", "train[50%:]"]
        model = [{ name = "tiny-net", recipe = { epochs = [1, 2] } }]
        defense = ["none", "blur"]
        attack = ["none", "@strong", { name = "halved", of = "sign" }, "tiny:one-for-all"]
        goal = ["untargeted", "predicted", "target:b"]
        budget = ["linf:1/255", "l2:zeta=4%", "l2:min"]
        surrogate = [{}, { instance = "other" }, { model = "tiny-net", train_set = "train[:10]", seed = [3, 4] }]
        craft_on = ["train[:20]", "@patients"]
        evaluate_on = ["test", { dataset = "@patients", slice = "val" }]
        detector = [{ name = "distance", source = ["same", "sign"], fit_on = "test[:80%]" }]
        probe = [{ name = "difference", layers = [["head"], ["head", "convolution"]] }]
        seed = [0, 1]
        tags = { architecture = "different", order = 3 }
        exclude = [{ attack = "halved*" }]
        stop = "success"
        threads = 2
        split_seed = 7
        """
    ).blocks[0]
    assert labels(found, "dataset") == ["patients", "textures"]
    assert labels(found, "train_set") == ["train[:50%]", "train[50%:]"]
    assert [c.value.plugin.recipe.epochs for c in found.axes["model"]] == [1, 2]
    assert labels(found, "attack") == ["none", "strong[steps=2]", "strong[steps=4]", "halved", "one-for-all"]
    assert labels(found, "goal") == ["untargeted", "predicted", "target:b"]
    assert [c.value for c in found.axes["goal"]] == [
        GoalSpec("untargeted"),
        GoalSpec("predicted"),
        GoalSpec("target", "b"),
    ]
    assert labels(found, "budget") == ["linf:1/255", "l2:zeta=4%", "l2:min"]
    assert labels(found, "surrogate") == [
        "target",
        "instance=other",
        "model=tiny-net, train_set=train[:10], seed=3",
        "model=tiny-net, train_set=train[:10], seed=4",
    ]
    first, second = (c.value for c in found.axes["craft_on"])
    assert isinstance(first, PartSpec)
    assert first.dataset is None
    assert second.dataset.plugin.size == 12
    assert str(second.slice) == "train"
    assert [str(c.value.slice) for c in found.axes["evaluate_on"]] == ["test", "val"]
    detectors = [c.value for c in found.axes["detector"]]
    assert all(isinstance(d, DetectorSpec) and str(d.fit_on) == "test[:80%]" for d in detectors)
    assert [d.source and d.source.name for d in detectors] == [None, "sign"]
    assert labels(found, "detector") == ["distance<same", "distance<sign"]
    assert [p.plugin.layers for p in found.probes] == [("head",), ("head", "convolution")]  # type: ignore[attr-defined]
    assert found.tags == {"architecture": "different", "order": "3"}
    assert (found.stop, found.threads, found.split_seed) == ("success", 2, 7)
    assert len(found) == 2 * 2 * 2 * 2 * 5 * 3 * 3 * 4 * 2 * 2 * 2 * 2


def test_a_detector_and_its_source_keep_the_names_that_a_grid_gives_them(grid: MakeGrid) -> None:
    found = grid(
        """
        [define]
        SIGN = "sign"
        deep = { name = "distance", source = "@SIGN" }
        both = ["@SIGN", { name = "steps", steps = 2 }]
        [[grid]]
        dataset = "textures"
        model = "tiny-net"
        detector = ["@deep", { name = "@deep", source = ["same", "@both"], fit_on = "test" }, "distance"]
        """
    ).blocks[0]
    names = ["deep<SIGN", "deep<same", "deep<SIGN", "deep<steps(steps=2)", "distance<same"]
    assert labels(found, "detector") == names
    assert [str(c.value.fit_on) for c in found.axes["detector"]] == ["test[:80%]", *["test"] * 3, "test[:80%]"]
    stored = [c.value.name for c in found.axes["detector"]]
    assert stored[:3] == ["distance<sign", "distance<same on test", "distance<sign on test"]


def test_a_white_box_surrogate_is_an_empty_patch(grid: MakeGrid) -> None:
    (choice,) = block(grid, "surrogate = [{}]").axes["surrogate"]
    assert choice.value == SurrogatePatch()


def test_profiles_override_definitions(grid: MakeGrid) -> None:
    text = """
        [define]
        data = { name = "textures", size = 16 }
        attacks = ["sign", "steps"]
        [profile.smoke.define]
        data = "textures"
        [profile.paper.define]
        attacks = ["none"]
        [[grid]]
        dataset = "@data"
        model = "tiny-net"
        attack = "@attacks"
        """
    sizes = {p: grid(text, profile=p).blocks[0].axes["dataset"][0].value.plugin.size for p in ("", "smoke", "paper")}
    assert sizes == {"": 16, "smoke": 8, "paper": 16}
    assert labels(grid(text, profile="paper").blocks[0], "attack") == ["none"]
    assert grid(text, profile="paper").profile == "paper"


def test_aliases_name_values_lists_and_other_aliases(grid: MakeGrid) -> None:
    text = """
        [define]
        base = { name = "steps", steps = "@counts" }
        counts = [1, 3]
        strong = "@base"
        all = ["none", "@strong", "sign"]
        [[grid]]
        dataset = "textures"
        model = "tiny-net"
        attack = "@all"
        """
    found = grid(text).blocks[0]
    assert labels(found, "attack") == ["none", "strong[steps=1]", "strong[steps=3]", "sign"]


def test_exclude_takes_patterns_over_labels(grid: MakeGrid) -> None:
    found = block(
        grid,
        'train_set = ["train[:50%]", "train"]\nattack = ["sign", "hum"]\n'
        'exclude = [{ attack = "h*", seed = [0, 1] }, { train_set = "train[:50%]", attack = "sign" }]',
    )
    row = dict.fromkeys(AXES, "")
    assert found.excluded(row | {"attack": "hum", "seed": "1"})
    assert not found.excluded(row | {"attack": "hum", "seed": "2"})
    assert not found.excluded(row | {"attack": "sign", "seed": "1"})
    # A label with brackets means itself, not a set of characters.
    assert found.excluded(row | {"attack": "sign", "train_set": "train[:50%]"})


def test_exclude_may_use_the_name_of_a_definition(grid: MakeGrid) -> None:
    found = grid('define = { mild = "hum" }\n' + BASE + 'attack = "@mild"\nexclude = { attack = "@mild" }').blocks[0]
    assert found.excluded(dict.fromkeys(AXES, "") | {"attack": "mild"})


@pytest.mark.parametrize(("key", "option", "thinned"), [(None, 6, 6), (6, None, 6), (100, 6, 6), (6, 100, 6)])
def test_images_thin_every_evaluation(grid: MakeGrid, key: int | None, option: int | None, thinned: int) -> None:
    more = 'evaluate_on = ["test", "val[:50%]"]' + (f"\nimages = {key}" if key else "")
    parts = [c.value.slice for c in block(grid, more, images=option).axes["evaluate_on"]]
    assert [(p.split, p.limit) for p in parts] == [("test", thinned), ("val", thinned)]
    assert labels(block(grid, more, images=option), "evaluate_on") == ["test", "val[:50%]"]


MISTAKES = {
    "unknown key": ("attacks = 'sign'", "grid.toml: grid[0]: unknown key 'attacks'; did you mean 'attack'?"),
    "unknown plugin": (
        "attack = 'sing'",
        "grid.toml: grid[0].attack: no attack is called 'sing'; did you mean 'sign'?",
    ),
    "unknown parameter": (
        "attack = { name = 'steps', step = 3 }",
        "grid.toml: grid[0].attack: attack 'steps' has no parameter 'step'; did you mean 'steps'?",
    ),
    "wrong type": (
        "attack = { name = 'steps', steps = 'many' }",
        "grid.toml: grid[0].attack: attack 'steps': steps: Input should be a valid integer, got 'many'",
    ),
    "no name": ("attack = { steps = 3 }", "grid.toml: grid[0].attack: expected the name of an attack"),
    "number for name": ("attack = 3", "grid.toml: grid[0].attack: expected the name of an attack"),
    "budget": ("budget = ['linf:1/0']", "grid.toml: grid[0].budget: division by zero in '1/0'"),
    "norm": ("budget = 'l7:1/255'", "grid.toml: grid[0].budget: 'l7:1/255' must begin with a norm"),
    "budget type": ("budget = 3", "grid.toml: grid[0].budget: expected text, got 3"),
    "goal": (
        "goal = 'best'",
        "grid.toml: grid[0].goal: 'best' is not a valid goal; write untargeted, predicted or target:CLASS",
    ),
    "slice": ("train_set = 'training'", "grid.toml: grid[0].train_set: 'training': no split is called 'training'"),
    "part": ("evaluate_on = 3", "grid.toml: grid[0].evaluate_on: expected a slice or a data set, got 3"),
    "part key": (
        "evaluate_on = { dataset = 'textures', slices = 'val' }",
        "unknown key 'slices'; did you mean 'slice'?",
    ),
    "surrogate key": ("surrogate = { modell = 'tiny-net' }", "unknown key 'modell'; did you mean 'model'?"),
    "surrogate type": ("surrogate = 'tiny-net'", "grid.toml: grid[0].surrogate: expected a table"),
    "surrogate value": (
        "surrogate = { model = 'tinynet' }",
        "grid.toml: grid[0].surrogate.model: no model is called 'tinynet'; did you mean 'tiny-net'?",
    ),
    "instance": ("surrogate = { instance = 'next' }", "instance: expected a number (0 or more) or 'other', got 'next'"),
    "detector": ("detector = 'distanze'", "no detector is called 'distanze'; did you mean 'distance'?"),
    "detector parameter": ("detector = { name = 'distance', sauce = 'same' }", "has no parameter 'sauce'"),
    "probe": ("probe = 'diference'", "grid.toml: grid[0].probe: no probe is called 'diference'; did you mean"),
    "seed": ("seed = ['1']", "grid.toml: grid[0].seed: expected a whole number of at least 0, got '1'"),
    "boolean seed": ("seed = true", "expected a whole number of at least 0, got True"),
    "threads": ("threads = 0", "grid.toml: grid[0].threads: expected a whole number of at least 1, got 0"),
    "split seed": ("split_seed = -1", "grid.toml: grid[0].split_seed: expected a whole number of at least 0, got -1"),
    "images": ("images = 'few'", "grid.toml: grid[0].images: expected a whole number of at least 1, got 'few'"),
    "stop": ("stop = 'early'", "grid.toml: grid[0].stop: expected 'full' or 'success', got 'early'"),
    "unhashable stop": ("stop = ['full']", "grid.toml: grid[0].stop: expected 'full' or 'success', got ['full']"),
    "tags": ("tags = 'x'", "grid.toml: grid[0].tags: expected a table, got 'x'"),
    "exclude": ("exclude = 'hum'", "grid.toml: grid[0].exclude: expected a table, got 'hum'"),
    "exclude axis": ("exclude = { atack = 'hum' }", "unknown key 'atack'; did you mean 'attack'?"),
    "undefined": ("attack = '@stron'", "grid.toml: grid[0].attack: '@stron' is not defined; did you mean 'strong'?"),
    "nested undefined": (
        "attack = { name = 'halved', of = '@stron' }",
        "'@stron' is not defined; did you mean 'strong'?",
    ),
    "cycle": ("attack = '@a'", "grid.toml: grid[0].attack: definition '@a' refers to itself"),
    "nested cycle": ("attack = '@loop'", "definition '@loop' refers to itself"),
    **{
        f"empty {axis}": (f"{axis} = []", f"grid.toml: grid[0].{axis}: the list is empty")
        for axis in ("train_set", "defense", "attack", "goal", "surrogate", "craft_on", "evaluate_on", "seed")
    },
    "empty sweep": (
        "attack = { name = 'steps', steps = [] }",
        "grid.toml: grid[0].attack: steps: the list is empty",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_names_file_key_and_remedy(grid: MakeGrid, mistake: str) -> None:
    line, message = MISTAKES[mistake]
    define = (
        "[define]\nstrong = 'sign'\na = '@b'\nb = ['none', '@c']\nc = '@a'\nloop = { name = 'halved', of = '@loop' }\n"
    )
    with pytest.raises(GridError) as caught:
        grid(define + BASE + line)
    assert message in str(caught.value)
    assert str(caught.value).startswith("grid.toml: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "grid.toml: no [[grid]] table"),
        ("grid = []", "no [[grid]] table"),
        ("[grid]\ndataset = 'textures'", "no [[grid]] table"),
        ("grids = 3", "unknown key 'grids'; did you mean 'grid'?"),
        ("[[grid]]\nmodel = 'tiny-net'", "grid.toml: grid[0]: 'dataset' is missing"),
        ("[[grid]]\ndataset = 'textures'", "grid.toml: grid[0]: 'model' is missing"),
        ("grid = [3]", "grid.toml: grid[0]: expected a table, got 3"),
        ("define = 3\n" + BASE, "grid.toml: define: expected a table, got 3"),
        ("profile = 3\n" + BASE, "grid.toml: profile: expected a table, got 3"),
        ("[profile.a]\nx = 1\n" + BASE, "grid.toml: profile.a: unknown key 'x'"),
        ("[profile.a]\ndefine = 1\n" + BASE, "grid.toml: profile.a.define: expected a table, got 1"),
        (BASE + BASE.replace("textures", "texture"), "grid.toml: grid[1].dataset: no dataset is called 'texture'"),
    ],
)
def test_mistakes_of_the_whole_file(grid: MakeGrid, text: str, message: str) -> None:
    with pytest.raises(GridError) as caught:
        grid(text)
    assert message in str(caught.value)


def test_a_missing_profile_is_named(grid: MakeGrid) -> None:
    with pytest.raises(GridError, match=r"no profile is called 'smok'; did you mean 'smoke'\?"):
        grid("[profile.smoke.define]\n" + BASE, profile="smok")


def test_files_that_cannot_be_read_are_named(tmp_path: Path, core: Registry) -> None:
    with pytest.raises(GridError, match=r"absent\.toml: cannot be read \(No such file"):
        read_grid(tmp_path / "absent.toml", core)
    with pytest.raises(GridError, match="cannot be read"):
        read_grid(tmp_path, core)
    broken = tmp_path / "broken.toml"
    broken.write_text("[[grid]\n")
    with pytest.raises(GridError, match=r"broken\.toml: not TOML: .*line 1"):
        read_grid(broken, core)
    broken.write_bytes(b"\xff\xfe")
    with pytest.raises(GridError, match=r"broken\.toml: cannot be read"):
        read_grid(broken, core)


def test_a_file_gives_the_grid_its_name(tmp_path: Path, core: Registry) -> None:
    (tmp_path / "mine.toml").write_text(BASE)
    assert read_grid(tmp_path / "mine.toml", core).name == "mine"
