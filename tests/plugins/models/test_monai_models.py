"""MONAI is an extra: `monai:NAME` builds its classification networks, found in MONAI rather than listed."""

from __future__ import annotations

from pathlib import Path

import pytest
import safetensors.torch
import torch

from medrobust import DataSource, ModelError, Shape
from medrobust.api import Registry
from medrobust.plugins.specs import build

pytest.importorskip("monai")

from medrobust_models import Monai, MonaiModel
from medrobust_models.monai_models import networks

KINDS = ["DenseNet121", "SEResNet50", "resnet10", "efficientnet-b0", "ViT"]


def test_the_networks_are_those_of_monai() -> None:
    names = set(networks())
    assert set(KINDS) <= names
    assert {"DenseNet264", "SENet154", "SEResNext101", "resnet200", "efficientnet-b8"} <= names
    assert len(names) >= 28
    assert not names & {"UNet", "DenseNet", "SENet", "EfficientNetBN", "densenet121"}


@pytest.mark.parametrize("name", KINDS)
def test_one_of_each_kind_is_built_and_takes_one_channel(name: str) -> None:
    found = Registry()
    found.load_entry_points()
    spec = build(found.find("model", f"monai:{name}"), {}, found)
    assert isinstance(spec.plugin, MonaiModel)
    assert set(spec.fields["libraries"]) == {"monai"}
    module = spec.plugin.build(Shape(1, 64, 64, 3)).eval()
    images = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        assert module(images).shape == (2, 3)
        assert torch.equal(module(images), module[1](images.expand(-1, 3, -1, -1)))  # type: ignore[index]


def test_sizes_that_a_network_cannot_take_are_told() -> None:
    with pytest.raises(ModelError, match="ViT cannot take images of 28x28: its patches are of 16 pixels"):
        MonaiModel(network="ViT").build(Shape(1, 28, 28, 2))
    with pytest.raises(ModelError, match="MONAI has no network 'UNet'"):
        MonaiModel(network="UNet").build(Shape(1, 28, 28, 2))
    with pytest.raises(KeyError):
        Monai().plugin("UNet")


def test_local_weights_load_but_for_the_head(tmp_path: Path) -> None:
    model = MonaiModel(init="imagenet", network="DenseNet121")
    module = model.build(Shape(1, 32, 32, 2))
    assert module[0].mean.flatten().tolist() == pytest.approx([0.485, 0.456, 0.406])  # type: ignore[index]
    before = {k: v.clone() for k, v in module[1].state_dict().items()}  # type: ignore[index]
    head = ("class_layers.out.weight", "class_layers.out.bias")
    state = {k: v + 1 for k, v in before.items() if k not in head}
    state |= {head[0]: torch.zeros(1000, 1024), head[1]: torch.zeros(1000)}
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "monai-DenseNet121-imagenet.safetensors"
    safetensors.torch.save_file(state, file)
    source = DataSource(tmp_path)
    assert model.imagenet_file(source) == file
    model.load_imagenet(module, source)
    for name, value in module[1].state_dict().items():  # type: ignore[index]
        assert torch.equal(value, before[name] if name in head else state[name]), name


def test_without_weights_the_message_says_where_they_go(tmp_path: Path) -> None:
    model = MonaiModel(init="imagenet", network="resnet10")
    told = f"save them in MONAI's names as {tmp_path}/weights/monai-resnet10-imagenet.safetensors"
    with pytest.raises(ModelError, match=told):
        model.load_imagenet(model.build(Shape(3, 32, 32, 2)), DataSource(tmp_path))
