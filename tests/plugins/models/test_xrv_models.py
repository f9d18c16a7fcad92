"""TorchXRayVision is an extra: `xrv:WEIGHTS` are its chest models, with their input range, labels and thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from medrobust import DataSource, ModelError, Shape
from medrobust.api import Registry
from medrobust.plugins.specs import build

pytest.importorskip("torchxrayvision")

from medrobust_models import XRayVision, XRVModel
from medrobust_models.libraries import imported

NIH = "densenet121-res224-nih"


@pytest.fixture(scope="module")
def library() -> Any:
    return imported("torchxrayvision", "xrv")


@pytest.fixture
def kept(library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A network with random weights where TorchXRayVision keeps those it has downloaded, as it keeps them."""
    monkeypatch.setattr(library.utils, "get_cache_dir", lambda: str(tmp_path))
    torch.manual_seed(0)
    network = library.models.DenseNet()
    with torch.no_grad():
        network.classifier.weight.mul_(5)
    torch.save(network, tmp_path / Path(library.models.model_urls[NIH]["weights_url"]).name)
    return network.eval()


def loaded(model: XRVModel, shape: Shape, source: DataSource) -> nn.Module:
    module = model.build(shape)
    model.load_imagenet(module, source)
    return module.eval()


@pytest.mark.filterwarnings("ignore")
def test_decisions_and_input_are_those_of_the_library(kept: nn.Module, library: Any) -> None:
    """Beside the library's own call on the same X-rays: grey levels to its range, its resizing, its thresholds."""
    theirs = library.models.DenseNet(weights=NIH).eval()
    labels = [label for label in theirs.targets if label]
    images = torch.rand(3, 1, 64, 64)
    grey = torch.stack([torch.from_numpy(library.utils.normalize(x.numpy() * 255, 255)) for x in images])
    with torch.no_grad():
        expected = theirs(grey)[:, [theirs.targets.index(label) for label in labels]]
        found = loaded(XRVModel(weights=NIH), Shape(1, 64, 64, len(labels)), DataSource(None))(images)
        raw = loaded(XRVModel(weights=NIH, thresholds=False), Shape(1, 64, 64, len(labels)), DataSource(None))(images)
        colour = loaded(XRVModel(weights=NIH), Shape(3, 64, 64, len(labels)), DataSource(None))
        assert torch.allclose(colour(images.expand(-1, 3, -1, -1)), found, atol=1e-3)
    assert torch.equal(found > 0, expected > 0.5)
    assert (expected > 0.5).any()
    outputs = torch.sigmoid(kept.classifier(kept.features2(grey_at(grey))))[:, : len(labels)]
    torch.testing.assert_close(raw.sigmoid(), outputs.detach(), rtol=1e-3, atol=1e-4)


def grey_at(grey: torch.Tensor) -> torch.Tensor:
    return nn.functional.interpolate(grey.float(), size=(224, 224), mode="bilinear", antialias=True)


@pytest.mark.filterwarnings("ignore")
def test_findings_come_in_the_order_asked_for_and_one_serves_two_classes(kept: nn.Module) -> None:
    images, source = torch.rand(2, 1, 224, 224), DataSource(None)
    two = loaded(XRVModel(weights=NIH, labels=("Mass", "Effusion")), Shape(1, 224, 224, 2), source)
    one = loaded(XRVModel(weights=NIH, labels=("Effusion",)), Shape(1, 224, 224, 2), source)
    with torch.no_grad():
        assert torch.equal(two(images)[:, 1:], one(images))


def test_labels_that_do_not_fit_are_told_with_those_there_are() -> None:
    with pytest.raises(ModelError, match=r"has no finding 'Flu'; it has Atelectasis, Consolidation, .*, Hernia$"):
        XRVModel(weights=NIH, labels=("Flu",)).build(Shape(1, 224, 224, 1))
    with pytest.raises(ModelError, match=r"has 14 outputs \(Atelectasis, .*\), and the data set 3 classes; name"):
        XRVModel(weights=NIH).build(Shape(1, 224, 224, 3))
    with pytest.raises(ModelError, match="takes square images, not 32x64"):
        XRVModel().build(Shape(1, 32, 64, 18))


def test_local_weights_are_taken_before_the_librarys(tmp_path: Path) -> None:
    model = XRVModel(weights="resnet50-res512-all", init="published")
    module = model.build(Shape(1, 64, 64, 18))
    state = {k: torch.full_like(v, 2) for k, v in module[1].state_dict().items()}  # type: ignore[index]
    (tmp_path / "weights").mkdir()
    file = tmp_path / "weights" / "xrv-resnet50-res512-all.safetensors"
    safetensors.torch.save_file(state, file)
    assert model.imagenet_file(DataSource(tmp_path)) == file
    model.load_imagenet(module, DataSource(tmp_path))
    assert all(bool((v == 2).all()) for v in module[1].state_dict().values())  # type: ignore[index]
    safetensors.torch.save_file({k: v for k, v in state.items() if k != "fc.bias"}, file)
    with pytest.raises(ModelError, match=r'the weights of resnet50-res512-all do not fit: Missing key.*"fc.bias"'):
        model.load_imagenet(module, DataSource(tmp_path))


def test_offline_the_message_says_where_weights_go(
    library: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(library.utils, "get_cache_dir", lambda: str(tmp_path))
    monkeypatch.setattr(library.utils, "download", offline)
    model = XRVModel(weights=NIH)
    module = model.build(Shape(1, 224, 224, 14))
    there = tmp_path / "nih-densenet121-d121-tw-lr001-rot45-tr15-sc15-seed0-best.pt"
    with pytest.raises(ModelError, match=f"put its file at {there}, or the tensors at weights/xrv-{NIH}"):
        model.load_imagenet(module, DataSource(None))
    with pytest.raises(ModelError, match='its own are init = "published"'):
        XRVModel(weights=NIH, init="imagenet").load_imagenet(module, DataSource(None))


def test_names_are_those_of_the_weights_and_they_are_not_trained_further() -> None:
    assert {"densenet121-res224-all", NIH, "resnet50-res512-all"} <= set(XRayVision().names())
    assert "nih" not in XRayVision().names()
    found = Registry()
    found.load_entry_points()
    spec = build(found.find("model", f"xrv:{NIH}"), {"labels": ["Mass"]}, found)
    assert isinstance(spec.plugin, XRVModel)
    assert (spec.plugin.init, spec.plugin.recipe.epochs) == ("published", 0)
    assert set(spec.fields["libraries"]) == {"torchxrayvision"}
    random = XRVModel(weights=NIH, init="random").build(Shape(1, 32, 32, 14))
    assert not random[2].shift.any(), "thresholds belong to the published weights"  # type: ignore[index]
