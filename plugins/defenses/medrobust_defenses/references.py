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
MA = Reference(
    ("X. Ma", "Y. Niu", "L. Gu", "Y. Wang", "Y. Zhao", "J. Bailey", "F. Lu"),
    "Understanding adversarial attacks on deep learning based medical image analysis systems",
    "Pattern Recognition 110:107332",
    2021,
    "10.1016/j.patcog.2020.107332",
)
FEINMAN = Reference(
    ("R. Feinman", "R. R. Curtin", "S. Shintre", "A. B. Gardner"),
    "Detecting adversarial samples from artifacts",
    "arXiv:1703.00410",
    2017,
)
LID = Reference(
    (
        *("X. Ma", "B. Li", "Y. Wang", "S. M. Erfani", "S. Wijewickrema", "G. Schoenebeck", "D. Song", "M. E. Houle"),
        "J. Bailey",
    ),
    "Characterizing adversarial subspaces using local intrinsic dimensionality",
    "ICLR",
    2018,
)
LU = Reference(
    ("J. Lu", "T. Issaranon", "D. A. Forsyth"),
    "SafetyNet: Detecting and rejecting adversarial examples robustly",
    "ICCV",
    2017,
)
ART = Reference(
    ("M.-I. Nicolae", "M. Sinn", "M. N. Tran", "B. Buesser", "A. Rawat", "M. Wistuba", "others"),
    "Adversarial Robustness Toolbox v1.0.0",
    "arXiv 1807.01069",
    2018,
    "10.48550/arXiv.1807.01069",
)
