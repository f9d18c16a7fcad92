"""What to cite for the defenses."""

from __future__ import annotations

from medrobust import Reference

MADRY = Reference(
    ("A. Madry", "A. Makelov", "L. Schmidt", "D. Tsipras", "A. Vladu"),
    "Towards deep learning models resistant to adversarial attacks",
    "ICLR",
    2018,
)
HIRANO = Reference(
    ("H. Hirano", "A. Minagi", "K. Takemoto"),
    "Universal adversarial attacks on deep neural networks for medical image classification",
    "BMC Medical Imaging 21:9",
    2021,
    "10.1186/s12880-020-00530-y",
)
XU = Reference(
    ("W. Xu", "D. Evans", "Y. Qi"),
    "Feature squeezing: Detecting adversarial examples in deep neural networks",
    "NDSS",
    2018,
)
