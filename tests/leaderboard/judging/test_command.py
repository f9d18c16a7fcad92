"""`medrobust judge`: what a user with a trained network and a folder of images does, and mistakes that are made."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from medrobust import Shape
from medrobust.api import Registry, Store

QUICK = Path(__file__).parents[2] / "harness" / "judging" / "quick.toml"
PATIENT = "anna-smith"
"""Is in the names of the files."""
NETS = """
import torch
from torch import nn
from parts import halves


def build():
    return halves()


def wide(width, outputs=2):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, width), nn.Linear(width, outputs))


def nothing():
    return "no network"


def broken():
    return torch.zeros(2) @ torch.zeros(3)
"""
PARTS = """
from torch import nn


def halves():
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2))
"""


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """A folder of somebody's: class folders that are links, a network in a file with another beside it, weights."""
    rng = np.random.default_rng(0)
    for place, name in enumerate(("left", "right")):
        folder = tmp_path / "originals" / name
        folder.mkdir(parents=True)
        for number in range(40):
            pixels = np.full((8, 8), 90.0)
            pixels[:, 4 * place : 4 * place + 4] += 60
            pixels = (pixels + rng.normal(0, 10, (8, 8))).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{PATIENT}-{number}.png")
        (tmp_path / "ward").mkdir(exist_ok=True)
        (tmp_path / "ward" / name).symlink_to(folder, target_is_directory=True)
    (tmp_path / "nets.py").write_text(NETS)
    (tmp_path / "parts.py").write_text(PARTS)
    state = network().state_dict()
    save_file(state, tmp_path / "w.safetensors")
    torch.save({"model_state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, tmp_path / "w.pt")
    return tmp_path


def network() -> nn.Module:
    """Two classes by the brightness of the left and of the right half."""
    halves = torch.zeros(2, 8, 8)
    halves[0, :, :4] = halves[1, :, 4:] = 1.0
    linear = nn.Linear(64, 2)
    with torch.no_grad():
        linear.weight.copy_(halves.flatten(1))
        linear.bias.zero_()
    return nn.Sequential(nn.Flatten(), linear)


@pytest.fixture
def run(program: Callable[..., Any], ward: Path) -> Callable[..., Any]:
    """`medrobust judge` in the folder, with a short list of trials."""

    def judge(*arguments: object, model: str = "nets.py:build", data: str = "ward") -> Any:
        common = ("--trials", QUICK, "--time", "all", "--channels", 1, "--device", "cpu")
        return program("judge", "--model", model, "--data", data, *common, *arguments, plugins=())

    return judge


def test_a_factory_weights_and_a_folder(run: Callable[..., Any], ward: Path) -> None:
    ended = run("--weights", "w.pt", "--out", "report")
    assert ended.status == 0, ended.err
    assert ended.out.startswith("nets:build on ward\nHealthy: no fault found;")
    assert "weights found under 'model_state_dict'; 'epoch' left out; prefix 'module.' removed" in words(ended.out)
    assert "8x8 pixels, the size of the files" in words(ended.out)
    assert "left, right (in the order of the outputs)" in words(ended.out)
    page = (ward / "report" / "index.html").read_text()
    assert "Healthy: no fault found" in page
    for text in (PATIENT, str(ward), "data:image/png", "<script", "http://", "https://"):
        assert text not in page.replace("http://www.w3.org", ""), text
    assert page.count("<img") == 1
    again = run("--weights", "w.pt", "--out", "report")
    assert findings(again.out) == findings(ended.out)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


def findings(text: str) -> str:
    return text.partition("What breaks it")[2].partition("Took")[0]


@pytest.mark.long
def test_telling_images_are_shown_when_asked(run: Callable[..., Any], ward: Path) -> None:
    ended = run("--weights", "w.safetensors", "--out", "report", "--with-images")
    assert ended.status == 0, ended.err
    page = (ward / "report" / "index.html").read_text()
    assert page.count("<img") == 2
    assert "Telling images." in page
    assert PATIENT not in page


def test_loose_images_have_no_labels(run: Callable[..., Any]) -> None:
    ended = run("--weights", "w.safetensors", data="originals/left")
    assert ended.status == 0, ended.err
    assert "The images have no labels" in words(ended.out)
    assert "In percent of the decisions that stay" in ended.out


@pytest.mark.long
def test_a_whole_model_is_opened_only_where_its_code_is_trusted(run: Callable[..., Any], ward: Path) -> None:
    torch.save(network(), ward / "whole.pt")
    refused = run(model="whole.pt")
    assert refused.status == 1
    assert "whole.pt holds objects of 'torch.nn.modules.container.Sequential'" in words(refused.err)
    assert "whose loading runs code from the file. It was not opened." in words(refused.err)
    assert "--trust-code" in refused.err
    assert "\x1b" not in refused.err
    assert run("--weights", "whole.pt").err == refused.err
    trusted = run("--trust-code", model="whole.pt")
    assert trusted.status == 0, trusted.err
    assert trusted.out.startswith("whole on ward\nHealthy")
    assert "loaded whole from the file, whose code was run" in words(trusted.out)
    assert run("--weights", "whole.pt", "--trust-code").status == 0


@pytest.mark.long
def test_torchscript_is_opened_only_where_its_code_is_trusted(run: Callable[..., Any], ward: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.trace(network(), torch.zeros(1, 1, 8, 8)).save(str(ward / "program.ts"))
        refused = run(model="program.ts")
        assert refused.status == 1
        assert "program.ts is a TorchScript program, which is code. It was not opened." in words(refused.err)
        trusted = run("--trust-code", model="program.ts")
    assert trusted.status == 0, trusted.err
    assert "Healthy" in trusted.out


@pytest.mark.long
def test_an_exported_program_is_opened_only_where_its_code_is_trusted(run: Callable[..., Any], ward: Path) -> None:
    several = ({0: torch.export.Dim("images", min=1, max=512)},)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(network(), (torch.zeros(2, 1, 8, 8),), dynamic_shapes=several)
        torch.export.save(program, ward / "program.pt2")
        refused = run(model="program.pt2")
        assert refused.status == 1
        assert "program.pt2 is an exported program, whose loading runs code from the file" in words(refused.err)
        trusted = run("--trust-code", model="program.pt2")
    assert trusted.status == 0, trusted.err
    assert "Healthy" in trusted.out


@pytest.mark.long
def test_a_model_plugin_with_weights(run: Callable[..., Any], ward: Path) -> None:
    ended = run(model="small-cnn")
    assert ended.status == 1
    assert "model 'small-cnn' has random weights; name a file of weights with --weights" in words(ended.err)
    ended = run("--weights", "w.safetensors", model="small-cnn")
    assert "does not fit the model" in words(ended.err)
    small = Registry.discover(()).find("model", "small-cnn").plugin().build(Shape(1, 8, 8, 2))
    save_file(small.state_dict(), ward / "small.safetensors")
    ended = run("--weights", "small.safetensors", model="small-cnn")
    assert ended.status == 0, ended.err
    # Not the bundled plugin of that name, which would be trained.
    assert set(Store(ward / "medrobust-judged").cells(["model"])["model"]) == {"judged-small-cnn"}
    ended = run(model="smal-cnn")
    assert "no model is called 'smal-cnn'; did you mean 'small-cnn'?" in words(ended.err)


@pytest.mark.parametrize(
    ("arguments", "model", "message"),
    [
        ((), "nets.py:biuld", "nets.py has no 'biuld'; it has broken, build, nothing, wide"),
        ((), "netz.py:build", "there is no file netz.py"),
        ((), "no_such_package.nets:build", "cannot import no_such_package.nets: No module named 'no_such_package'"),
        ((), "nets.py:wide", "nets.py:wide: missing a required argument: 'width'; give its arguments, such as"),
        ((), "nets.py:nothing", "nets.py:nothing gave str, not a torch.nn.Module"),
        ((), "nets.py:broken", "nets.py:broken raised RuntimeError"),
        (
            ("--weights", "w.safetensors", "--model-args", "width = 3"),
            "nets.py:wide",
            "does not fit the model",
        ),
        (("--model-args", "width = 3, outputs = 5"), "nets.py:wide", "gives 5 outputs, and the images have 2 classes"),
        (("--weights", "nowhere.pt"), "nets.py:build", "--weights: there is no file nowhere.pt"),
        ((), "w.safetensors", "holds weights and no network; name what builds it: --model my_package.nets:build"),
        (("--time", "soon"), "nets.py:build", "--time: 'soon' is no time; write 10m, 90s, 1h, or 'all'"),
        (("--input", "imagenett"), "nets.py:build", "input 'imagenett' is none of unit, imagenet"),
        (("--outputs", "left,rihgt"), "nets.py:build", "left, rihgt are not the classes of the images, left, right"),
        (("--size", "16"), "nets.py:build", "the network does not take float32 images (n, 1x16x16)"),
    ],
)
def test_mistakes_are_named(run: Callable[..., Any], arguments: tuple[str, ...], model: str, message: str) -> None:
    ended = run(*arguments, model=model)
    assert ended.status == 1
    assert message in words(ended.err), ended.err
    assert "Traceback" not in ended.err


def test_data_that_is_not_there(run: Callable[..., Any]) -> None:
    assert "there is no folder ./wards" in words(run(data="./wards").err)
    assert "no dataset is called 'wards'" in words(run(data="wards").err)
    assert "--data: '{ name = ' is no table" in words(run(data="{ name = ").err)
