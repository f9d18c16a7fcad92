"""Preparing a model: the same function, faster, and never one that is not the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from medrobust import Arithmetic, Budget, MedrobustError, SampleRNG, Shape, Untargeted
from medrobust.engine.acceleration import PLAIN, Acceleration
from medrobust.engine.models.classifier import TorchClassifier
from medrobust.engine.models.prepare import agree, fold_batch_norms, prepare
from medrobust_attacks import PGD
from medrobust_models import SmallResNet, TorchvisionModel

pytestmark = pytest.mark.numerical

Images = tuple[Tensor, Tensor]
Randomise = Callable[[nn.Module], nn.Module]

EXACT = Acceleration()


def images(count: int = 4, channels: int = 3, size: int = 32) -> Tensor:
    return torch.rand(count, channels, size, size, generator=torch.Generator().manual_seed(0))


def norms(module: nn.Module) -> int:
    return sum(isinstance(m, nn.BatchNorm2d) for m in module.modules())


def block(channels: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.LazyLinear(2))


class Branching(nn.Module):
    """Control flow that depends on values: no trace can follow it."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = block()

    def forward(self, batch: Tensor) -> Tensor:
        logits: Tensor = self.inner(batch if batch.mean() > 0.4 else 1 - batch)
        return logits


class TwiceConvolved(nn.Module):
    """One convolution at two places, one of them before a batch norm: a fold into it changes the other place."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 3, 3, padding=1)
        self.norm = nn.BatchNorm2d(3)

    def forward(self, batch: Tensor) -> Tensor:
        return self.norm(self.convolution(torch.relu(self.convolution(batch)))).mean(dim=(2, 3))  # type: ignore[no-any-return]


class Random(nn.Module):
    """No two passes agree."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = block()

    def forward(self, batch: Tensor) -> Tensor:
        logits: Tensor = self.inner(batch + torch.randn_like(batch))
        return logits


def made(module: nn.Module) -> nn.Module:
    module.eval()(images())  # shapes of lazy layers
    return module.requires_grad_(False)


@pytest.mark.parametrize(
    "model", [SmallResNet(), TorchvisionModel("random", architecture="resnet18")], ids=lambda m: m.title
)
def test_a_prepared_network_is_the_same_function(model: SmallResNet | TorchvisionModel, randomise: Randomise) -> None:
    module = randomise(model.build(Shape(3, 32, 32, 5)))
    before = {k: v.clone() for k, v in module.state_dict().items()}
    batch = images(8)
    prepared = prepare(module, "cpu", EXACT, batch[:2])
    assert norms(module) > norms(prepared.module) == 0
    expected = module(batch)
    assert expected.std() > 0.01
    torch.testing.assert_close(prepared.module(batch), expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))
    for name, tensor in module.state_dict().items():
        assert torch.equal(tensor, before[name])
    assert module.state_dict().keys() == before.keys()
    assert all(p.is_contiguous() for p in module.parameters())


@pytest.mark.parametrize("kind", [Branching, TwiceConvolved, Random])
def test_a_module_that_cannot_be_folded_stays_itself(kind: type[nn.Module], randomise: Randomise) -> None:
    module = randomise(made(kind()))
    folded = fold_batch_norms(module)
    assert folded is None or not agree(folded, module, images())
    prepared = prepare(module, "cpu", EXACT, images())
    assert norms(prepared.module) == norms(module) == 1
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        expected = module(images())
        torch.manual_seed(0)
        torch.testing.assert_close(prepared.module(images()), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("obstacle", ["no running statistics", "weight norm"])
def test_a_layer_that_cannot_be_fused_is_left_alone(obstacle: str) -> None:
    module = block()
    if obstacle == "weight norm":
        nn.utils.parametrizations.weight_norm(module[0])
    else:
        module[1] = nn.BatchNorm2d(4, track_running_stats=False)
    module = made(module)
    prepared = prepare(module, "cpu", EXACT, images())
    torch.testing.assert_close(prepared.module(images()), module(images()), rtol=1e-4, atol=1e-5)


def test_agreement_is_of_shape_and_value_and_finite() -> None:
    linear = made(nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, 2)))
    batch = images()
    assert agree(linear, linear, batch)
    assert not agree(nn.Sequential(linear, nn.Hardtanh(-1e-3, 1e-3)), linear, batch)
    assert not agree(nn.Sequential(linear, nn.Softmax(dim=1)), linear, batch)
    assert not agree(nn.Flatten(), linear, batch)
    assert not agree(nn.Conv2d(1, 1, 3), linear, batch)

    class NotANumber(nn.Module):
        def forward(self, batch: Tensor) -> Tensor:
            return batch.flatten(1)[:, :2] * float("nan")

    assert not agree(NotANumber(), NotANumber(), batch)


def test_each_part_can_be_turned_off() -> None:
    module = made(block())
    assert prepare(module, "cpu", PLAIN, images()).module is module
    with_norms = prepare(module, "cpu", Acceleration(fold=False), images())
    assert norms(with_norms.module) == 1
    assert with_norms.memory_format == torch.channels_last
    contiguous = prepare(module, "cpu", Acceleration(channels_last=False), images())
    assert norms(contiguous.module) == 0
    assert contiguous.memory_format == torch.contiguous_format
    assert contiguous.autocast is None
    assert prepare(module, "cpu", Acceleration(), images(), "bfloat16").autocast == torch.bfloat16


def test_a_module_is_compiled_only_where_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[nn.Module] = []
    # Importing the real compiler takes longer than all tests of this file.
    monkeypatch.setattr(torch, "compile", lambda module: compiled.append(module) or module)
    module = made(block())
    prepare(module, "cpu", Acceleration(), images())
    assert compiled == []
    prepared = prepare(module, "cpu", Acceleration(compile=True), images())
    assert compiled == [prepared.module]
    assert norms(compiled[0]) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("auto", Acceleration()),
        ("none", PLAIN),
        ("fold", replace(PLAIN, fold=True)),
        ("fold,first-conv,channels-last", EXACT),
        ("fold,compile", replace(PLAIN, fold=True, compile=True)),
    ],
)
def test_the_switch_is_read(text: str, expected: Acceleration) -> None:
    assert Acceleration.parse(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("chanels-last", "acceleration: unknown part 'chanels-last'.*did you mean 'channels-last'"),
        ("fold,first", "unknown part 'first'.*'first-conv'"),
        ("fold,", "unknown part ''"),
    ],
)
def test_a_misspelt_switch_is_answered_with_the_nearest(text: str, message: str) -> None:
    with pytest.raises(MedrobustError, match=message):
        Acceleration.parse(text)


@pytest.mark.parametrize("arithmetic", ["float32", "bfloat16"])
def test_fast_and_plain_path_give_the_same_robust_accuracy(
    trained: nn.Module, shadows: Images, arithmetic: Arithmetic
) -> None:
    batch, labels = shadows
    budget = Budget("linf", 6 / 255)

    def robust(acceleration: Acceleration, arithmetic: Arithmetic = "float32") -> float:
        classifier = TorchClassifier(trained, "multiclass", 3, acceleration, batch[:8], arithmetic)
        rng = SampleRNG.for_ids(0, [str(i) for i in range(len(batch))])
        adversarial = PGD(steps=10, random_start=False).perturb(classifier, batch, Untargeted(labels), budget, rng)
        return float((trained(adversarial).argmax(1) == labels).float().mean())

    plain = robust(PLAIN)
    # Measured over six seeds and two instruction sets: 0.41 to 0.64; float32 differs by 0, bfloat16 by 0.006 at most.
    assert 0.25 < plain < 0.8
    assert robust(EXACT, arithmetic) == pytest.approx(plain, abs=0.005 if arithmetic == "float32" else 0.02)
