"""The team's model: a small network for fundus images, and its released weights."""

from __future__ import annotations

from pathlib import Path

from safetensors.torch import load_file
from torch import Tensor, nn

WEIGHTS = Path(__file__).parent / "weights"


class FundusNet(nn.Module):
    """Three convolutions; takes images in [0, 1] and normalises them itself."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 12, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(12, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Conv2d(16, 24, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(24, 2),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, 2) of images (n, 3, h, w)."""
        logits: Tensor = self.layers((images - 0.5) / 0.25)
        return logits


def load(release: str) -> FundusNet:
    """The network of a release, in evaluation mode."""
    net = FundusNet()
    net.load_state_dict(load_file(WEIGHTS / f"{release}.safetensors"))
    return net.eval()


def save(net: FundusNet, release: str) -> None:
    """Keep the weights of a release."""
    from safetensors.torch import save_file

    WEIGHTS.mkdir(exist_ok=True)
    save_file(net.state_dict(), WEIGHTS / f"{release}.safetensors")
