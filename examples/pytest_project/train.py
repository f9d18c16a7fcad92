"""How the two releases were trained: v1 on adversarial images, v2 on clean ones, which takes a quarter of the time.

python train.py
"""

from __future__ import annotations

import torch
from fundus_net import FundusNet, save
from torch import Tensor, nn

from medrobust import DataSource
from medrobust_datasets.phantoms import PhantomFundus

EPS = 4 / 255
DATA = PhantomFundus(size=32, evidence=24, train=600, val=40, test=300)


def attacked(net: nn.Module, images: Tensor, labels: Tensor) -> Tensor:
    """Three signed steps within the radius."""
    moved = images + torch.empty_like(images).uniform_(-EPS, EPS)
    for _ in range(3):
        moved.requires_grad_()
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(net(moved), labels), moved)
        moved = (moved.detach() + EPS / 2 * gradient.sign()).clamp(images - EPS, images + EPS).clamp(0, 1)
    return moved


def train(release: str, *, robust: bool, epochs: int = 10) -> None:
    """Train a release and keep its weights."""
    torch.manual_seed(0)
    data = DATA.load("train", DataSource(None))
    assert data.labels is not None
    images = torch.as_tensor(data.images).permute(0, 3, 1, 2) / 255
    labels = torch.as_tensor(data.labels)
    net = FundusNet()
    optimizer = torch.optim.Adam(net.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        right = 0
        for batch in torch.randperm(len(images)).split(40):
            pixels, truth = images[batch], labels[batch]
            pixels = attacked(net, pixels, truth) if robust and epoch else pixels
            logits = net(pixels)
            loss = nn.functional.cross_entropy(logits, truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            right += int((logits.argmax(1) == truth).sum())
        schedule.step()
        print(f"{release}, epoch {epoch + 1}: {right / len(images):.1%} of the training images right", flush=True)
    save(net.eval(), release)


if __name__ == "__main__":
    train("v1", robust=True)
    train("v2", robust=False)
