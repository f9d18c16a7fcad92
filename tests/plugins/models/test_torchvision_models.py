"""torchvision's architectures: heads, sizes, colours, and where their ImageNet weights come from."""

from __future__ import annotations

import os
import re
import urllib.error
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import Tensor, nn

from medrobust import DataSource, ModelError, Shape
from medrobust_models import TorchvisionModel
from medrobust_models.architectures import ARCHITECTURES
from medrobust_models.inputs import Normalise


def build(architecture: str, size: int = 32, channels: int = 3, outputs: int = 3, **fields: Any) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = TorchvisionModel("random", architecture=architecture, **fields)
        return model.build(Shape(channels, size, size, outputs)).eval()


def images(channels: int = 3, size: int = 32, count: int = 2) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def run(module: nn.Module, batch: Tensor) -> Tensor:
    with torch.no_grad():
        logits = module(batch)
    assert isinstance(logits, Tensor)
    assert torch.isfinite(logits).all()
    return logits


@pytest.mark.parametrize("outputs", [1, 2, 14, 15])
@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1"])
def test_there_is_a_logit_for_each_output(architecture: str, outputs: int) -> None:
    assert run(build(architecture, outputs=outputs), images()).shape == (2, outputs)


@pytest.mark.parametrize(
    ("architecture", "size", "pooled"),
    [
        ("squeezenet1_1", 64, 512),
        ("densenet121", 32, 1024),
        ("inception_v3", 96, 2048),
        ("mobilenet_v3_small", 32, 1024),
    ],
)
def test_architectures_at_small_sizes(architecture: str, size: int, pooled: int) -> None:
    module = build(architecture, size)
    assert run(module, images(size=size)).shape == (2, 3)
    last = [m for m in module.modules() if isinstance(m, nn.Linear)][-1]
    assert (last.in_features, last.out_features) == (pooled, 3)


def test_vgg_and_alexnet_are_pooled_unless_their_own_head_is_asked_for() -> None:
    pooled = build("alexnet", 64)
    assert [m for m in pooled.modules() if isinstance(m, nn.Linear)] == [pooled[1].classifier]  # type: ignore[index,union-attr]
    assert pooled[1].classifier.in_features == 256  # type: ignore[index,union-attr]
    assert run(pooled, images(size=64)).shape == (2, 3)
    # What is pooled is the mean over the last maps, whatever their size.
    maps = pooled[1].features(pooled[0](images(size=96)))  # type: ignore[index,union-attr,operator]
    torch.testing.assert_close(pooled(images(size=96)), pooled[1].classifier(maps.mean(dim=(2, 3))))  # type: ignore[index,union-attr,operator]
    own = build("alexnet", 64, head="original")
    linear = [m for m in own.modules() if isinstance(m, nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(256 * 36, 4096), (4096, 4096), (4096, 3)]
    assert run(own, images(size=64)).shape == (2, 3)


@pytest.mark.long
def test_vgg_keeps_all_convolutions_and_nothing_of_its_dense_layers() -> None:
    module = build("vgg11")
    assert sum(isinstance(m, nn.Conv2d) for m in module.modules()) == 8
    assert module[1].classifier.in_features == 512  # type: ignore[index,union-attr]
    assert sum(p.numel() for p in module.parameters()) == 9_220_480 + 512 * 3 + 3
    assert run(module, images()).shape == (2, 3)


@pytest.mark.parametrize("architecture", ["resnet18", "squeezenet1_1"])
def test_a_hidden_layer_and_dropout_come_before_the_last(architecture: str) -> None:
    module = build(architecture, hidden=128, dropout=0.2)
    layers = [m for m in module.modules() if isinstance(m, nn.Linear | nn.Dropout)][-3:]
    assert [type(m) for m in layers] == [nn.Linear, nn.Dropout, nn.Linear]
    hidden, dropout, last = layers
    assert (hidden.in_features, hidden.out_features, dropout.p) == (512, 128, 0.2)  # type: ignore[union-attr]
    assert (last.in_features, last.out_features) == (128, 3)  # type: ignore[union-attr]
    assert torch.equal(run(module, images()), run(module, images()))


@pytest.mark.parametrize("normalise", ["imagenet", "centre"])
def test_one_channel_is_tiled_inside(normalise: str) -> None:
    grey, colour = build("resnet18", channels=1, normalise=normalise), build("resnet18", normalise=normalise)
    colour.load_state_dict(grey.state_dict())
    batch = images(1)
    assert torch.equal(run(grey, batch), run(colour, batch.repeat(1, 3, 1, 1)))
    assert not torch.equal(run(grey, batch), run(grey, 1 - batch))


def test_pixels_are_normalised_inside() -> None:
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    first = build("resnet18")[0]  # type: ignore[index]
    batch = images()
    assert isinstance(first, Normalise)
    torch.testing.assert_close(first(batch), (batch - mean.view(3, 1, 1)) / std.view(3, 1, 1))
    assert torch.equal(build("resnet18", normalise="centre")[0](batch), batch * 2 - 1)  # type: ignore[index,operator]


def test_a_training_module_gives_a_tensor_too() -> None:
    module = build("inception_v3", 96).train()
    assert isinstance(module(images(size=96)), Tensor)


def test_a_seed_fixes_the_weights_and_building_leaves_training_mode() -> None:
    first, second = build("squeezenet1_1").state_dict(), build("squeezenet1_1").state_dict()
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert TorchvisionModel("random", architecture="squeezenet1_1").build(Shape(3, 32, 32, 2)).training


@pytest.mark.parametrize(
    ("architecture", "channels", "size", "message"),
    [
        ("inception_v3", 3, 32, "inception_v3 cannot take images of 32x32: "),
        ("alexnet", 3, 16, "alexnet cannot take images of 16x16: "),
        ("vit_b_32", 3, 64, "vit_b_32 cannot take images of 64x64: .*224"),
        ("resnet18", 2, 32, "resnet18 takes 1 or 3 channels, not 2"),
        ("resnet18", 4, 32, "resnet18 takes 1 or 3 channels, not 4"),
    ],
)
def test_a_shape_that_does_not_fit_is_named(architecture: str, channels: int, size: int, message: str) -> None:
    with pytest.raises(ModelError, match=message):
        build(architecture, size, channels)


def test_all_of_torchvisions_classifiers_are_on_offer() -> None:
    names = ARCHITECTURES
    assert {"resnet50", "densenet121", "vgg16", "inception_v3", "squeezenet1_1", "convnext_tiny"} <= set(names)
    assert not [n for n in names if "rcnn" in n or "deeplab" in n]
    assert TorchvisionModel(architecture="resnet50").title == "resnet50"


def kept(root: Path, state: dict[str, Tensor], name: str = "squeezenet1_1-imagenet.pth") -> DataSource:
    (root / "weights").mkdir()
    torch.save(state, root / "weights" / name)
    return DataSource(root)


@pytest.fixture
def original() -> dict[str, Tensor]:
    """Weights as torchvision publishes them: of all layers, its thousand classes among them."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        return dict(torchvision.models.squeezenet1_1(weights=None).state_dict())


@pytest.mark.parametrize("name", ["squeezenet1_1-imagenet.pth", "squeezenet1_1-b8a52dc0.pth"])
def test_weights_come_from_the_data_root(tmp_path: Path, original: dict[str, Tensor], name: str) -> None:
    model = TorchvisionModel("imagenet", architecture="squeezenet1_1")
    module = build("squeezenet1_1")
    head = {k: v.clone() for k, v in module.state_dict().items() if ".classifier." in k}
    source = kept(tmp_path, {k: v.half() for k, v in original.items()}, name)
    model.load_imagenet(module, source)
    state = module.state_dict()
    taken = {k: v for k, v in state.items() if k.startswith("1.features.")}
    assert len(taken) == 50
    for key, value in taken.items():
        assert value.dtype == torch.float32
        assert torch.equal(value, original[key.removeprefix("1.")].half().float())
    assert len(head) == 2
    assert all(torch.equal(state[k], v) for k, v in head.items())


def test_weights_that_do_not_fit_are_named(tmp_path: Path, original: dict[str, Tensor]) -> None:
    del original["features.0.weight"]
    source = kept(tmp_path, original)
    with pytest.raises(ModelError, match=r"do not fit: 'features\.0\.weight' is missing or differs"):
        TorchvisionModel("imagenet", architecture="squeezenet1_1").load_imagenet(build("squeezenet1_1"), source)


@pytest.mark.parametrize("content", [b"<html>404</html>", b""])
def test_a_damaged_file_of_weights_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "weights" / "squeezenet1_1-imagenet.pth"
    file.parent.mkdir()
    file.write_bytes(content)
    model, module = TorchvisionModel("imagenet", architecture="squeezenet1_1"), build("squeezenet1_1")
    with pytest.raises(ModelError, match=f"{file}: cannot be read as weights"):
        model.load_imagenet(module, DataSource(tmp_path))


def test_a_training_checkpoint_is_no_file_of_weights(tmp_path: Path, original: dict[str, Tensor]) -> None:
    source = kept(tmp_path, {"state_dict": original, "epoch": torch.tensor(3)})  # type: ignore[dict-item]
    with pytest.raises(ModelError, match="it holds more than weights"):
        TorchvisionModel("imagenet", architecture="squeezenet1_1").load_imagenet(build("squeezenet1_1"), source)


def test_weights_of_densenets_bear_older_names(tmp_path: Path) -> None:
    module = build("densenet121")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(9)
        published = torchvision.models.densenet121(weights=None).state_dict()
    older = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])\.", r"\1.\2.", k): v for k, v in published.items()}
    assert "features.denseblock1.denselayer1.norm.1.weight" in older
    source = kept(tmp_path, older, "densenet121-imagenet.pth")
    TorchvisionModel("imagenet", architecture="densenet121").load_imagenet(module, source)
    own = module.state_dict()
    assert all(torch.equal(own[f"1.{k}"], v) for k, v in published.items() if not k.startswith("classifier"))


def test_weights_ported_from_tensorflow_get_inputs_between_minus_one_and_one() -> None:
    with torch.random.fork_rng(devices=[]):
        module = TorchvisionModel("imagenet", architecture="inception_v3").build(Shape(3, 96, 96, 2))
    assert torch.equal(module[0](images(size=96)), images(size=96) * 2 - 1)  # type: ignore[index,operator]


def test_offline_the_message_names_file_and_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*arguments: Any, **options: Any) -> None:
        raise urllib.error.URLError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", offline)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    model, module = TorchvisionModel("imagenet", architecture="squeezenet1_1"), build("squeezenet1_1")
    with pytest.raises(ModelError) as told:
        model.load_imagenet(module, DataSource(tmp_path))
    assert str(told.value) == (
        "the ImageNet weights of squeezenet1_1 cannot be downloaded (URLError); put squeezenet1_1-b8a52dc0.pth into "
        f"{tmp_path}/hub/hub/checkpoints, or as {tmp_path}/weights/squeezenet1_1-imagenet.pth"
    )
    with pytest.raises(ModelError, match=r"or as weights/squeezenet1_1-imagenet\.pth below the data root"):
        model.load_imagenet(module, DataSource(None))


@pytest.mark.data
def test_the_real_weights_load() -> None:
    root = os.environ.get("MEDROBUST_DATA")
    if not root:
        pytest.skip("MEDROBUST_DATA is not set")
    file = Path(root) / "weights" / "squeezenet1_1-imagenet.pth"
    module = build("squeezenet1_1", 64, outputs=4)
    before = run(module, images(size=64))
    TorchvisionModel("imagenet", architecture="squeezenet1_1").load_imagenet(module, DataSource(Path(root)))
    state = torch.load(file, map_location="cpu", weights_only=True)
    own = module.state_dict()
    assert all(torch.equal(own[f"1.{k}"], v.float()) for k, v in state.items() if k.startswith("features."))
    assert not torch.equal(run(module, images(size=64)), before)
