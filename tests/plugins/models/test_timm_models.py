"""timm is an extra: without it, one line says how to get it; with it, its architectures are built."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from medrobust import DataSource, ModelError, PluginError, Shape
from medrobust.api import Registry
from medrobust.plugins.specs import build
from medrobust_models import TimmModel


def test_without_timm_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(ModelError, match=r"this model needs timm; install it with: uv pip install 'medrobust\[timm\]'"):
        TimmModel().build(Shape(3, 96, 96, 2))


def test_with_timm_its_architectures_are_built() -> None:
    pytest.importorskip("timm")
    module = TimmModel(architecture="resnet10t", dropout=0.2).build(Shape(1, 64, 64, 7)).eval()
    assert module(torch.rand(2, 1, 64, 64)).shape == (2, 7)
    with pytest.raises(ModelError, match="timm has no architecture 'resnet11t'"):
        TimmModel(architecture="resnet11t").build(Shape(3, 64, 64, 2))


def test_every_name_of_timm_is_a_model_whose_version_counts() -> None:
    timm = pytest.importorskip("timm")
    found = Registry()
    found.load_entry_points()
    spec = build(found.find("model", "timm:resnet10t"), {"dropout": 0.1}, found)
    assert isinstance(spec.plugin, TimmModel)
    assert (spec.plugin.architecture, spec.fields["libraries"]) == ("resnet10t", {"timm": timm.__version__})
    assert len(found.libraries("timm")[0].names()) > 500
    with pytest.raises(PluginError, match="no model is called 'timm:resnet11t'; did you mean 'timm:resnet"):
        found.find("model", "timm:resnet11t")
    assert found.find("model", "inception_resnet_v2").plugin is TimmModel, "a paper's grid is read without timm"


@pytest.fixture(scope="module")
def inception() -> nn.Module:
    pytest.importorskip("timm")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return TimmModel("imagenet").build(Shape(1, 96, 96, 3)).eval()


def test_inception_resnet_v2_gets_inputs_between_minus_one_and_one(inception: nn.Module) -> None:
    """As its weights were trained and as hirano2021 feeds it; other architectures get what timm states for them."""
    images = torch.rand(2, 1, 96, 96)
    assert torch.equal(inception[0](images), (images * 2 - 1).expand(-1, 3, -1, -1))  # type: ignore[index]
    other = TimmModel(architecture="resnet10t").build(Shape(3, 64, 64, 2))
    assert other[0].mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])  # type: ignore[index]


def kept(root: Path, state: dict[str, torch.Tensor]) -> DataSource:
    (root / "weights").mkdir()
    safetensors.torch.save_file(state, root / "weights" / "inception_resnet_v2-imagenet.safetensors")
    return DataSource(root)


def published(network: nn.Module) -> dict[str, torch.Tensor]:
    """Weights with a thousand classes, all different from those of `network`."""
    state = {k: v + 1 for k, v in network.state_dict().items()}
    return {**state, "classif.weight": torch.zeros(1000, 1536), "classif.bias": torch.zeros(1000)}


def test_local_weights_load_but_for_the_head(inception: nn.Module, tmp_path: Path) -> None:
    module = copy.deepcopy(inception)
    source = kept(tmp_path, state := published(module[1]))  # type: ignore[index]
    assert TimmModel().imagenet_file(source) == tmp_path / "weights" / "inception_resnet_v2-imagenet.safetensors"
    TimmModel("imagenet").load_imagenet(module, source)
    for name, value in module[1].state_dict().items():  # type: ignore[index]
        if name.startswith("classif."):
            assert torch.equal(value, inception[1].state_dict()[name])  # type: ignore[index]
        else:
            assert torch.equal(value, state[name]), name


def test_missing_weights_are_an_error_and_named(inception: nn.Module, tmp_path: Path) -> None:
    state = published(inception[1])  # type: ignore[index]
    del state["conv2d_1a.conv.weight"]
    state["conv2d_2a.conv.weight"] = torch.zeros(1)
    told = (
        r"of inception_resnet_v2 do not fit: 'conv2d_1a\.conv\.weight' is missing or differs in shape, and so are 1 of"
    )
    with pytest.raises(ModelError, match=told):
        TimmModel("imagenet").load_imagenet(copy.deepcopy(inception), kept(tmp_path, state))


def test_offline_the_message_says_where_weights_go(
    inception: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    timm = pytest.importorskip("timm")

    def offline(*arguments: object, **options: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(timm, "create_model", offline)
    place = tmp_path / "weights" / "inception_resnet_v2-imagenet.safetensors"
    with pytest.raises(ModelError, match=f"connect to the internet once, or save them in timm's names as {place}"):
        TimmModel("imagenet").load_imagenet(inception, DataSource(tmp_path))
