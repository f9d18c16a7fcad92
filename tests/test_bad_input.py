"""Bad input: one clear message that names file, key or cell and the remedy, and exit status 1; 2 for wrong usage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from medrobust.api import Store

Program = Callable[..., Any]
BASE = """
[[grid]]
dataset = "textures"
model = "tiny-net"
"""


@pytest.fixture
def grid(tmp_path: Path) -> Callable[[str], Path]:
    """Write a grid file."""

    def write(text: str) -> Path:
        file = tmp_path / "grid.toml"
        file.write_text(text)
        return file

    return write


Write = Callable[[str], Path]

MISTAKES = {
    "key": ('atack = "sign"', "grid[0]: unknown key 'atack'; did you mean 'attack'?"),
    "type": ('seed = "one"', "grid[0].seed: expected a whole number of at least 0, got 'one'"),
    "parameter type": (
        'attack = { name = "steps", steps = "many" }',
        "grid[0].attack: attack 'steps': steps: Input should be a valid integer, got 'many'",
    ),
    "parameter": (
        'attack = { name = "steps", stepps = 3 }',
        "grid[0].attack: attack 'steps' has no parameter 'stepps'; did you mean 'steps'?",
    ),
    "name": ('attack = "sihgn"', "grid[0].attack: no attack is called 'sihgn'; did you mean 'sign'?"),
    "budget": (
        'attack = "sign"\nbudget = "linf=1/255"',
        "grid[0].budget: 'linf=1/255' must begin with a norm and a colon: one of linf, l2, l1, l0",
    ),
    "no budget": ('attack = "sign"', "grid[0]: 'budget' is missing; attacks need one"),
    "target class": (
        'attack = "sign"\nbudget = "linf:1/255"\ngoal = "target:c"',
        "grid[0].goal: no class is called 'c'; valid: a, b",
    ),
    "impossible pair": (
        'attack = "sign"\nbudget = "l2:1"',
        "grid[0].attack: 'sign' cannot run with any budget, goal and data set of this grid: attack 'sign' supports the "
        "norms linf, not l2. Change one of them or leave the attack out",
    ),
    "radius in grey levels": (
        'attack = "sign"\nbudget = "linf:8"',
        "grid[0].budget: the radius of 'linf:8' is larger than the whole range of pixels, 0 to 1; did you mean "
        "'linf:8/255'?",
    ),
    "radius beyond any image": (
        'attack = "hum"\nbudget = "l2:300"',
        "the radius of 'l2:300' is larger than any l2 distance of images of 8x8 pixels and 1 channel, 8. Change",
    ),
    "step in grey levels": (
        'attack = { name = "steps", step_size = 2 }\nbudget = "linf:8/255"',
        "'steps' has step_size = 2, which is larger than the whole range of pixels, 0 to 1; did you mean '2/255'?",
    ),
    "negative seed": ("seed = -1", "grid[0].seed: expected a whole number of at least 0, got -1"),
    "negative epochs": (
        'model = { name = "tiny-net", recipe = { epochs = -1 } }',
        "grid[0].model: model 'tiny-net': recipe.epochs: must be at least 0, got -1",
    ),
    "broken toml": ("seed = [1", "not TOML"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_wrong_grid(program: Program, grid: Write, mistake: str, tmp_path: Path) -> None:
    line, message = MISTAKES[mistake]
    base = BASE.replace('model = "tiny-net"\n', "") if line.startswith("model") else BASE
    done = program("run", grid(base + line))
    assert done.status == 1
    assert done.out == ""
    (shown,) = done.err.splitlines()
    assert shown.startswith(f"error: {tmp_path}/grid.toml: ")
    assert message in shown
    assert not (tmp_path / "medrobust-store").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("run", "absent.toml"), "absent.toml: cannot be read (No such file or directory)"),
        (("plan", "."), ".: cannot be read (Is a directory)"),
        (("run", "grid.toml", "--profile", "smal"), "no profile is called 'smal'; did you mean 'small'?"),
        (("run", "grid.toml", "--data-root", "nowhere"), "nowhere is not a directory"),
        (("run", "grid.toml", "--plugin", "absent.py"), "absent.py: no such file"),
        (("run", "grid.toml", "--store", "thesis"), "holds other files and no store; choose another --store"),
        (("run", "grid.toml", "--store", "grid.toml"), "grid.toml: is a file, not a store"),
        (("why", "abc"), "has no cell 'abc'; give --grid to compare it with a cell of a grid"),
        (
            ("why", "zzz", "--grid", "grid.toml"),
            "no cells that begin with 'zzz'; 'medrobust plan grid.toml'",
        ),
        (("plugins", "fsgm"), "no plugin is called 'fsgm'"),
        (("plugins", "--kind", "atack"), "no kind is called 'atack'"),
    ],
)
def test_wrong_places_and_names(
    program: Program, grid: Write, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    grid("[profile.small.define]\n" + BASE)
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.tex").write_text("years of work")
    done = program(*arguments)
    assert done.status == 1
    (shown,) = done.err.splitlines()
    assert shown.startswith("error: ")
    assert message in shown


@pytest.mark.parametrize(
    "arguments",
    [("run",), ("run", "grid.toml", "--wrokers", "2"), ("run", "grid.toml", "--images", "0"), ("rnu", "x"), ("why",)],
)
def test_wrong_usage_has_status_2(program: Program, arguments: tuple[str, ...]) -> None:
    assert program(*arguments, plugins=()).status == 2


def test_no_data_root(program: Program, grid: Write, tmp_path: Path) -> None:
    done = program("run", grid(BASE.replace('"textures"', '["ward", "textures"]')))
    assert done.status == 1
    assert done.err.splitlines() == [
        f"impossible here: the ward's images is not at {tmp_path}/ward/images. No data root is set: give --data-root "
        "or set MEDROBUST_DATA."
    ]
    assert set(Store(tmp_path / "medrobust-store").cells()["status"]) == {"ok"}


def image_folder(root: Path) -> Path:
    rng = np.random.default_rng(0)
    for split, count in (("train", 4), ("val", 2), ("test", 3)):
        for label in ("healthy", "ill"):
            folder = root / "scans" / split / label
            folder.mkdir(parents=True)
            for number in range(count):
                Image.fromarray(rng.integers(0, 255, (16, 16), dtype=np.uint8)).save(folder / f"{number}.png")
    return root / "scans"


@pytest.mark.parametrize("content", [b"no image at all", b"", None], ids=["text", "empty", "truncated"])
def test_an_image_folder_with_an_unreadable_file(
    program: Program, grid: Write, tmp_path: Path, content: bytes | None
) -> None:
    folder = image_folder(tmp_path)
    bad = folder / "test" / "ill" / "1.png"
    bad.write_bytes(bad.read_bytes()[:60] if content is None else content)
    data = '{ name = "image-folder", path = "scans", size = 16 }'
    text = f'[[grid]]\ndataset = ["textures", {data}]\nmodel = {{ name = "tiny-net", recipe = {{ epochs = 1 }} }}\n'
    done = program("run", grid(text + 'attack = "sign"\nbudget = "linf:1/255"'))
    assert done.status == 1
    assert "scans/test/ill/1.png" in done.err
    assert "Traceback" not in done.err + done.out
    statuses = Store(tmp_path / "medrobust-store").cells(["dataset", "status"])
    by_data = statuses.groupby("dataset")["status"].agg(set).to_dict()
    assert by_data.pop("textures") == {"ok"}
    assert list(by_data.values()) == [{"failed"}]
    # Once it is fixed, the rest is computed and nothing twice.
    Image.fromarray(np.zeros((16, 16), np.uint8)).save(bad)
    again = program("run", tmp_path / "grid.toml")
    assert again.status == 0
    assert "4 cells: 2 already in the store, 2 computed" in again.out


def test_a_checkpoint_that_does_not_fit(program: Program, grid: Write, tmp_path: Path) -> None:
    torch.save({"convolution.weight": torch.ones(4, 3, 3, 3), "other": torch.ones(1)}, tmp_path / "weights.pt")
    model = '["tiny-net", { name = "tiny-net", init = "weights.pt" }, { name = "tiny-net", init = "absent.pt" }]'
    done = program("run", grid(BASE.replace('"tiny-net"', model)))
    assert done.status == 1
    (line, absent) = done.err.splitlines()
    assert line == (
        f"impossible here: checkpoint {tmp_path}/weights.pt does not fit the model: it lacks 3 of 4 weights "
        "('convolution.bias', 'head.weight', 'head.bias'); 1 of its 2 weights are unknown to the model ('other'); 1 "
        "has another shape ('convolution.weight': (4, 3, 3, 3) in the file, (4, 1, 3, 3) in the model). Likely cause: "
        "it takes images of 3 channels, and the data set has 1"
    )
    assert f"impossible here: checkpoint 'absent.pt' is not at {tmp_path}/absent.pt" in absent
    assert "Traceback" not in done.err + done.out
    # Nothing of it was begun: it is known when the grid is planned.
    assert list(Store(tmp_path / "medrobust-store").cells()["status"]) == ["ok"]
    planned = program("plan", tmp_path / "grid.toml")
    assert f"Impossible here (1): checkpoint {tmp_path}/weights.pt does not fit the model" in planned.out


def test_a_slice_smaller_than_a_class_names_the_class(program: Program, grid: Write, tmp_path: Path) -> None:
    done = program("run", grid(BASE + 'train_set = ["train[:2]", "train"]\n'))
    assert done.status == 1
    assert (
        "class 'a' has no image among the 2 training images of this slice; take a larger train_set"
        in done.out + done.err
    )
    assert "Traceback" not in done.err + done.out
    found = Store(tmp_path / "medrobust-store").cells(["train_set", "status"])
    assert dict(zip(found["train_set"], found["status"], strict=True)) == {"train[:2]": "failed", "train": "ok"}


def test_how_a_checkpoint_was_read_is_told(program: Program, grid: Write, tmp_path: Path) -> None:
    shapes = {"convolution.weight": (4, 1, 3, 3), "convolution.bias": (4,), "head.weight": (2, 16), "head.bias": (2,)}
    state = {f"module.{name}": torch.zeros(shape) for name, shape in shapes.items()}
    torch.save({"epoch": 7, "model_state_dict": state}, tmp_path / "weights.pt")
    model = '{ name = "tiny-net", init = "weights.pt", recipe = { epochs = 0 } }'
    file = grid(BASE.replace('"tiny-net"', model))
    note = (
        f"note: checkpoint {tmp_path}/weights.pt: weights found under 'model_state_dict', 'epoch' left out, prefix "
        "'module.' removed"
    )
    assert program("plan", file).err.splitlines() == [note]
    done = program("run", file)
    assert (done.status, done.err.splitlines()) == (0, [note])
    # Once its weights are in the store, the file is not looked into again.
    assert program("plan", file).err == ""


def test_attacks_that_misbehave(program: Program, grid: Write, tmp_path: Path) -> None:
    faults = '["raises", "nan", "budget", "box", "shape"]'
    text = BASE + f'attack = ["sign", {{ name = "misbehaving", fault = {faults} }}]\nbudget = "linf:8/255"'
    done = program("run", grid(text))
    assert done.status == 1
    cells = Store(tmp_path / "medrobust-store").cells()
    for message in (
        "raised RuntimeError: the attack [/broke] down at misbehaving.py:",
        "the attack returned NaN or infinite pixels in 24 of 24 images",
        "24 of 24 images leave the budget: linf up to 0.0627451, allowed 0.0313725",
        "24 of 24 images leave the box [0, 1]",
        "the attack returned shape (24, 1, 7, 8) for images of shape (24, 1, 8, 8)",
    ):
        (line,) = [row for row in done.err.splitlines() if message in row]
        (bad,) = [cell for cell in cells.index if cell in line]
        assert cells.loc[bad, "status"] in line
        assert cells.loc[bad, "attack"].startswith("misbehaving")
    assert cells["status"].value_counts().to_dict() == {"invalid": 4, "ok": 2, "failed": 1}
    assert "Traceback" not in done.err + done.out


def test_names_with_brackets_are_printed_as_they_are(program: Program, tmp_path: Path) -> None:
    file = tmp_path / "a[bold]b[" / "]c" / "x[" / "y].toml"
    file.parent.mkdir(parents=True)
    file.write_text(BASE)
    store = file.parent / "[red]store"
    planned = program("plan", file, "--store", store)
    assert planned.status == 0
    assert "x[/y].toml" in planned.out.replace("\n", "")
    done = program("run", file, "--store", store)
    assert done.status == 0
    assert f"Records: {store}" in done.out


def test_a_broken_local_plugin_is_left_out_with_one_line(program: Program, grid: Write, tmp_path: Path) -> None:
    file = tmp_path / "half.py"
    file.write_text(
        "from medrobust import Attack\n\n\nclass Half(Attack):\n    '''[/half] done'''\n\n    name = 'half'\n"
    )
    done = program("run", grid(BASE), "--plugin", file)
    assert done.status == 0
    (line,) = done.err.splitlines()
    assert line.startswith("plugin not loaded: half local file: plugin Half (half.py:4): is not a frozen dataclass")
    strict = program("run", grid(BASE), "--plugin", file, "--strict")
    assert strict.status == 1
    assert "is not a frozen dataclass" in strict.err


@pytest.mark.parametrize(
    ("shared", "message"),
    [
        (
            "ids",
            "16 sample ids are in 'train' and in 'val', such as '0', '1', '10' and 13 more. An id must name one image",
        ),
        (
            "groups",
            "1 group (patient) has images in 'train' and in 'val', such as 'patient-1'; results on them say too",
        ),
    ],
)
def test_what_two_splits_share_is_found_before_a_number_rests_on_it(
    program: Program, grid: Write, tmp_path: Path, shared: str, message: str
) -> None:
    done = program("run", grid(BASE.replace('"textures"', f'{{ name = "textures", shared = "{shared}" }}')))
    assert done.status == 1
    (line,) = done.err.splitlines()
    assert line.startswith("failed (1 cell: ")
    assert f"data set 'textures': {message}" in line
    cells = Store(tmp_path / "medrobust-store").cells()
    assert set(cells["status"]) == {"failed"}


def test_patients_in_two_folders_are_found_when_the_grid_is_planned(
    program: Program, grid: Write, tmp_path: Path
) -> None:
    image_folder(tmp_path)
    data = '{ name = "image-folder", path = "scans", size = 16, group_pattern = "(\\\\d)[.]png" }'
    done = program("plan", grid(BASE.replace('"textures"', data)))
    (line,) = [row for row in done.out.splitlines() if row.startswith("Impossible here")]
    assert "2 groups (patients) have images in 'train' and in 'val', such as '0', '1'" in line
    assert 'on_shared_groups = "keep"' in line
    declared = program("plan", grid(BASE.replace('"textures"', data.replace(" }", ', on_shared_groups = "keep" }'))))
    assert "Impossible here" not in declared.out


def test_a_repeated_patient_is_found_again_by_the_next_command(program: Program, grid: Write, tmp_path: Path) -> None:
    image_folder(tmp_path)
    data = '{ name = "image-folder", path = "scans", size = 16, group_pattern = "(\\\\d)[.]png" }'
    file = grid(BASE.replace('"textures"', data))
    told = [program("run", file).err for _ in range(2)]
    assert told[0] == told[1]
    assert told[0].startswith("impossible here: data set 'image-folder")


PARTS = BASE + 'attack = "sign"\nbudget = "linf:1/255"\n'
"""Attacks of surrogates that see another part of the data."""


def one_line(done: Any) -> str:
    """The only problem that a run tells, which is no traceback."""
    assert done.status == 1
    assert "Traceback" not in done.err + done.out
    (line,) = done.err.splitlines()
    return str(line)


def test_more_parts_than_patients(program: Program, grid: Write) -> None:
    # The training images are of 20 patients: no patient's images begin and end within a hundredth of them.
    done = program("run", grid(PARTS + 'train_set = "train[:50%]"\nsurrogate = { train_set = "train[50%:51%]" }\n'))
    line = one_line(done)
    assert "slice 'train[50%:51%]' of data set 'textures' contains no image; its split has 40 of 20 groups" in line
    assert "take fewer or larger parts" in line


def test_a_part_that_lacks_a_class(program: Program, grid: Write) -> None:
    text = PARTS.replace('"textures"', '{ name = "textures", classes = 3, empty_class = true }')
    line = one_line(program("run", grid(text + 'train_set = "train[:50%]"\n')))
    assert "class 'c' has no image among the " in line
    assert "training images of this slice; take a larger train_set" in line


def test_a_test_set_of_one_class(program: Program, grid: Write, tmp_path: Path) -> None:
    # Two images of one patient: accuracy exists on them, an AUC does not, and says so.
    assert program("run", grid(PARTS + 'evaluate_on = "test[:2]"\n')).status == 0
    shown = program("leaderboard", tmp_path / "medrobust-store", "--metric", "auc")
    assert "undefined" in shown.out
    assert "images, and an AUC needs both" in " ".join(shown.out.split())


def test_a_surrogate_of_other_classes(program: Program, grid: Write, tmp_path: Path) -> None:
    line = one_line(program("run", grid(PARTS + 'surrogate = { dataset = { name = "textures", classes = 3 } }\n')))
    assert line.startswith(f"error: {tmp_path}/grid.toml: grid[0].surrogate: 'dataset=textures(classes=3)' can stand ")
    assert "the surrogate has other classes than the target: a, b, c, not a, b. Take one that is trained on" in line
    assert not (tmp_path / "medrobust-store").exists()
