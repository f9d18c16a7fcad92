"""timm is an extra: without it, one line says how to get it; with it, its architectures are built."""

from __future__ import annotations

import sys

import pytest
import torch

from medrobust import ModelError, Shape
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
