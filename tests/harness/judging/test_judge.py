"""A live network is judged: healthy ones are called so, and every planted fault is named in the first lines."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from medrobust import DataError, ModelError
from medrobust.api import Judgement, judge

pytestmark = pytest.mark.numerical

QUICK = Path(__file__).parent / "quick.toml"


@dataclass(frozen=True)
class Shades:
    """Noisy images (n, 8, 8) or (n, 8, 8, 3), and the half that is brighter."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


def shades(count: int = 160, *, channels: int = 1, contrast: int = 60, seed: int = 0) -> Shades:
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    sign = np.where(labels == 1, 1, -1)[:, None, None]
    halves = np.where(np.arange(8) < 4, -1, 1)[None, None, :]
    images = 110 + halves * sign * contrast / 2 + rng.normal(0, 12, (count, 8, 8)) + rng.normal(0, 8, (count, 1, 1))
    pixels = images.clip(0, 255).astype(np.uint8)
    return Shades(pixels if channels == 1 else pixels[..., None].repeat(3, axis=-1), labels.astype(np.int64))


class Net(nn.Module):
    """A convolution, batch norm and a linear layer; it centres its images itself."""

    def __init__(self, outputs: int = 2, channels: int = 1, *, centre: bool = True) -> None:
        super().__init__()
        self.centre = centre
        self.convolution = nn.Conv2d(channels, 6, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(6)
        self.head = nn.Linear(6 * 16, outputs)

    def forward(self, images: Tensor) -> Tensor:
        images = (images - 0.485) / 0.229 if self.centre else images
        maps = torch.relu(self.norm(self.convolution(images)))
        logits: Tensor = self.head(nn.functional.avg_pool2d(maps, 2).flatten(1))
        return logits


def trained(net: nn.Module, images: Tensor, loss: Callable[[Tensor], Tensor]) -> nn.Module:
    """A network after some steps on all images at once."""
    optimizer = torch.optim.AdamW(net.parameters(), 1e-2)
    net.train()
    for _ in range(60):
        optimizer.zero_grad()
        loss(net(images)).backward()
        optimizer.step()
    return net.eval()


def as_tensor(images: NDArray[np.uint8]) -> Tensor:
    tensor = torch.from_numpy(images).float().div(255)
    return tensor[:, None] if tensor.ndim == 3 else tensor.permute(0, 3, 1, 2).contiguous()


def two_classes(
    *, centre: bool = True, channels: int = 1, scale: Callable[[Tensor], Tensor] = lambda x: x
) -> nn.Module:
    """A network of two logits, trained on images that `scale` has changed."""
    torch.manual_seed(0)
    data = shades(channels=channels, seed=1)
    truth = torch.from_numpy(data.labels)
    net = Net(channels=channels, centre=centre)
    return trained(net, scale(as_tensor(data.images)), lambda logits: nn.functional.cross_entropy(logits, truth))


@pytest.fixture(scope="module")
def healthy() -> nn.Module:
    return two_classes()


@pytest.fixture
def quick() -> Path:
    """A short list of trials."""
    return QUICK


class Behind(nn.Module):
    """A network with something wrong in front of it or behind it."""

    def __init__(self, module: nn.Module, fault: str) -> None:
        super().__init__()
        self.module, self.fault = module, fault

    def forward(self, images: Tensor) -> Tensor:
        match self.fault:
            case "normalised twice":
                images = (images - 0.485) / 0.229
            case "noisy":
                images = images + 0.05 * torch.randn_like(images)
            case "rounded":
                images = images.round()
            case "sine":
                images = images + 0.15 * torch.sin(600 * images)
        logits: Tensor = self.module(images)
        match self.fault:
            case "permuted":
                return logits.flip(1)
            case "saturated":
                return logits * 1e4
            case "probabilities":
                return logits.softmax(dim=1)
        return logits


def judged(module: nn.Module, quick: Path, **options: object) -> Judgement:
    data = shades()
    options = {"classes": ("left", "right"), "time": "all", **options}
    return judge(module, data.images, data.labels, trials=quick, device="cpu", **options)  # type: ignore[arg-type]


def test_a_healthy_network_is_called_healthy(healthy: nn.Module, quick: Path) -> None:
    judgement = judged(healthy, quick)
    assert judgement.healthy, judgement.faults
    assert str(judgement).splitlines()[1].startswith("Healthy: no fault found;")
    assert judgement.clean is not None
    assert judgement.clean.value > 0.95
    kept = {(r.trial, r.budget): r.kept.value for r in judgement.results}
    assert kept["pgd", "linf:64/255"] < 0.05 < 0.9 < kept["noise", "linf:64/255"]
    assert kept["pgd", "linf:64/255"] <= kept["pgd", "linf:8/255"]
    assert any("at most 64 grey levels of 255 suffices" in line for line in judgement.findings), judgement.findings
    assert judgement.moves
    assert not judgement.pictures


@pytest.mark.parametrize(
    ("fault", "line"),
    [
        ("normalised twice", "inputs are on another scale than the network was trained with"),
        ("permuted", "outputs are in another order than the classes"),
        ("probabilities", "outputs are probabilities, not logits"),
        pytest.param("noisy", "equal images get different outputs", marks=pytest.mark.long),
        pytest.param("rounded", "gradients are zero or not finite", marks=pytest.mark.long),
        pytest.param("saturated", "gradients are zero or not finite", marks=pytest.mark.long),
        ("sine", "its gradients mislead"),
    ],
)
def test_each_planted_fault_is_named_in_the_first_lines(healthy: nn.Module, quick: Path, fault: str, line: str) -> None:
    judgement = judged(Behind(healthy, fault), quick)
    assert not judgement.healthy
    first = str(judgement).split("\n\n")[0].replace("\n    ", " ")
    assert line in first, first


@pytest.mark.long
def test_a_network_that_is_declared_random_is_no_fault(healthy: nn.Module, quick: Path) -> None:
    judgement = judged(Behind(healthy, "noisy"), quick, stochastic=True)
    assert judgement.healthy, judgement.faults
    assert {r.trial for r in judgement.results} == {"noise", "fgsm", "pgd"}


def test_batch_norm_left_in_training_mode_is_named(quick: Path) -> None:
    awake = two_classes().train()
    judgement = judged(awake, quick)
    assert [fault.name for fault in judgement.faults] == ["batch norm is in training mode"]
    assert judgement.faults[0].corrected
    assert awake.training, "the network itself is left as it is"


@pytest.mark.long
def test_batch_norm_that_always_takes_its_statistics_from_the_batch_is_named(quick: Path) -> None:
    net = two_classes()
    assert isinstance(net, Net)
    net.norm.track_running_stats, net.norm.running_mean, net.norm.running_var = False, None, None
    assert judged(net, quick).verdict.startswith("1 fault found: an image's outputs depend on the other images")


def test_what_the_time_does_not_suffice_for_is_told(healthy: nn.Module, quick: Path) -> None:
    judgement = judged(healthy, quick, time="0.1s")
    assert not judgement.results
    assert judgement.left_out[-3:] == (
        "random noise, 64/255: no room in the time",
        "FGSM, 64/255: no room in the time",
        "PGD, 64/255, 8/255: no room in the time",
    )
    assert judgement.clean is not None, "the checks and the clean images are always looked at"


@pytest.mark.long
def test_outputs_in_another_order_are_put_right(healthy: nn.Module, quick: Path) -> None:
    judgement = judged(Behind(healthy, "permuted"), quick)
    (fault,) = judgement.faults
    assert fault.corrected
    assert "--outputs 'right,left'" in fault.advice
    assert judgement.clean is not None
    assert judgement.clean.value > 0.95
    declared = judged(Behind(healthy, "permuted"), quick, outputs=("right", "left"))
    assert declared.healthy, declared.faults
    assert "declared: outputs are right, left" in declared.facts["classes"]


def test_the_input_scale_is_found_out(quick: Path) -> None:
    net = two_classes(centre=False, scale=lambda x: x * 255)
    judgement = judged(net, quick)
    assert judgement.healthy, judgement.faults
    assert judgement.facts["input"].startswith("pixels from 0 to 255 ('bytes', found out: ")
    kept = {r.budget: r.kept.value for r in judgement.results if r.trial == "pgd"}
    assert kept["linf:64/255"] < 0.05, "a radius is one of pixels in [0, 1], whatever the network takes"


def test_a_declared_scale_that_does_not_fit_is_named(quick: Path) -> None:
    judgement = judged(two_classes(centre=False, scale=lambda x: x * 255), quick, input="unit")
    assert judgement.faults[0].name == "the network takes another input scale than was declared"
    assert "with 'bytes'" in judgement.faults[0].detail


@pytest.mark.long
def test_a_network_that_knows_nothing_is_named(quick: Path) -> None:
    torch.manual_seed(3)
    judgement = judged(Net().eval(), quick)
    assert "clean decisions are hardly better than always naming one class" in [f.name for f in judgement.faults]


def test_the_report_shows_pictures_when_asked_and_names_no_image(
    healthy: nn.Module, quick: Path, tmp_path: Path
) -> None:
    data = shades()
    groups = [f"patient-{i // 2}" for i in range(len(data.labels))]
    judgement = judge(
        healthy,
        data.images,
        data.labels,
        groups=groups,
        trials=quick,
        time="all",
        with_images=True,
        store=tmp_path / "store",
        device="cpu",
    )
    assert judgement.pictures
    picture = judgement.pictures[0]
    assert picture.clean.shape == (8, 8, 1)
    assert 0 < float(np.abs(picture.adversarial - picture.clean).max()) <= 64 / 255 + 1e-6
    assert picture.before.partition(",")[0] != picture.after.partition(",")[0]
    assert "patient-" not in str(judgement)
    assert "of 60 patients" in judgement.facts["images"]
    assert judgement.store == tmp_path / "store"


# What can be judged --------------------------------------------------------------------------------------------------


def test_several_classes(quick: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(150) % 3
    images = (60 + 60 * labels[:, None, None] + rng.normal(0, 12, (150, 8, 8))).clip(0, 255).astype(np.uint8)
    truth = torch.from_numpy(labels)
    torch.manual_seed(0)
    net = trained(Net(3), as_tensor(images), lambda logits: nn.functional.cross_entropy(logits, truth))
    judgement = judge(net, images, labels, trials=quick, time="all", device="cpu")
    assert judgement.healthy, judgement.faults
    assert judgement.facts["classes"].startswith("class 0, class 1, class 2")


@pytest.mark.long
def test_two_classes_with_one_logit(quick: Path) -> None:
    data = shades(seed=1)
    truth = torch.from_numpy(data.labels).float()
    torch.manual_seed(0)
    net = trained(
        Net(1),
        as_tensor(data.images),
        lambda logits: nn.functional.binary_cross_entropy_with_logits(logits[:, 0], truth),
    )
    judgement = judged(net, quick)
    assert judgement.healthy, judgement.faults
    assert "probabilities" in judged(nn.Sequential(net, nn.Sigmoid()), quick).verdict
    turned = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in turned.head.parameters():  # type: ignore[union-attr]
            parameter.neg_()
    assert [f.name for f in judged(turned, quick).faults] == ["outputs are in another order than the classes"]


def test_several_labels_an_image(quick: Path) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, (160, 2))
    images = np.full((160, 8, 8), 90.0)
    images[:, :, :4] += 60 * labels[:, 0, None, None]
    images[:, :, 4:] += 60 * labels[:, 1, None, None]
    images = (images + rng.normal(0, 12, images.shape)).clip(0, 255).astype(np.uint8)
    truth = torch.from_numpy(labels).float()
    torch.manual_seed(0)
    net = trained(
        Net(2), as_tensor(images), lambda logits: nn.functional.binary_cross_entropy_with_logits(logits, truth)
    )
    judgement = judge(net, images, labels, classes=("left", "right"), trials=quick, time="all", device="cpu")
    assert judgement.healthy, judgement.faults
    assert {r.trial for r in judgement.results} == {"noise", "fgsm", "pgd"}


@pytest.mark.long
def test_three_channels_and_channels_first(quick: Path) -> None:
    data = shades(channels=3)
    net = two_classes(channels=3)
    first = judge(net, data.images.transpose(0, 3, 1, 2), data.labels, trials=quick, time="all", device="cpu", limit=60)
    last = judge(net, data.images, data.labels, trials=quick, time="all", device="cpu", limit=60)
    assert [r.kept for r in first.results] == [r.kept for r in last.results]
    assert "60, handed in by a program, colour, 8 bits, 8x8 pixels" in first.facts["images"]


def test_grey_images_for_a_network_of_three_channels(quick: Path) -> None:
    judgement = judged(two_classes(channels=3), quick)
    assert judgement.healthy, judgement.faults
    assert judgement.facts["input"].endswith("grey images are repeated for its three channels")


@pytest.mark.long
def test_images_of_sixteen_bits(healthy: nn.Module, quick: Path) -> None:
    data = shades()
    deep = data.images.astype(np.uint16) * 257
    judgement = judge(healthy, deep, data.labels, trials=quick, time="all", device="cpu")
    assert "16 bits" in judgement.facts["images"]
    assert [r.kept for r in judgement.results] == [r.kept for r in judged(healthy, quick).results]


def test_images_without_labels(healthy: nn.Module, quick: Path) -> None:
    judgement = judge(healthy, shades().images, trials=quick, time="all", device="cpu")
    assert judgement.healthy, judgement.faults
    assert judgement.clean is None
    assert all(r.counted.all() for r in judgement.results), "every decision counts"
    assert min(r.kept.value for r in judgement.results) < 0.05
    assert judgement.thin[0].startswith("The images have no labels")
    assert judgement.facts["classes"] == "output 0, output 1 (in the order of the outputs)"
    broken = judge(Behind(healthy, "probabilities"), shades().images, trials=quick, time="all", device="cpu")
    assert broken.verdict.startswith("1 fault found: outputs are probabilities, not logits")


# What cannot ---------------------------------------------------------------------------------------------------------


def test_more_outputs_than_classes(quick: Path) -> None:
    with pytest.raises(ModelError, match=r"gives 5 outputs, and the images have 2 classes \(left, right\)"):
        judged(Net(5).eval(), quick)


def test_images_that_the_network_does_not_take(quick: Path) -> None:
    data = shades()
    with pytest.raises(ModelError, match=r"does not take float32 images \(n, 1x8x7\)"):
        judge(two_classes(), data.images[:, :, :7], data.labels, trials=quick, time="all")


def test_arrays_that_are_no_images(healthy: nn.Module, quick: Path) -> None:
    with pytest.raises(DataError, match=r"images of shape \(4, 32, 32, 32\): no axis has 1 or 3 channels"):
        judge(healthy, np.zeros((4, 32, 32, 32), np.uint8), trials=quick)
    with pytest.raises(DataError, match="3 labels for 160 images"):
        judge(healthy, shades().images, [0, 1, 0], trials=quick)
    with pytest.raises(DataError, match="labels run from 0 to 7, expected 0 to 1"):
        judge(healthy, shades().images, np.arange(160) % 8, classes=("left", "right"), trials=quick)
