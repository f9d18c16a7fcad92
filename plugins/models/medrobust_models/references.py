"""What to cite for the models: libraries, architectures by the beginning of their name, and terms of weights."""

from __future__ import annotations

from typing import Final

from medrobust import Reference

WEIGHTS: Final = "terms of pre-trained weights: to be checked at their source"

TORCHVISION = Reference(
    ("TorchVision maintainers and contributors",),
    "TorchVision: PyTorch's computer vision library",
    "GitHub",
    2016,
    "https://github.com/pytorch/vision",
)
TIMM = Reference(("R. Wightman",), "PyTorch image models", "GitHub", 2019, "10.5281/zenodo.4414861")
MONAI = Reference(
    ("M. J. Cardoso", "W. Li", "R. Brown", "others"),
    "MONAI: An open-source framework for deep learning in healthcare",
    "arXiv:2211.02701",
    2022,
)
XRV = Reference(
    ("J. P. Cohen", "J. D. Viviano", "P. Bertin", "others"),
    "TorchXRayVision: A library of chest X-ray datasets and models",
    "MIDL",
    2022,
)
RESNET = Reference(
    ("K. He", "X. Zhang", "S. Ren", "J. Sun"), "Deep residual learning for image recognition", "CVPR", 2016
)

ARCHITECTURES: Final = {
    "alexnet": Reference(
        ("A. Krizhevsky",), "One weird trick for parallelizing convolutional neural networks", "arXiv:1404.5997", 2014
    ),
    "convnext": Reference(
        ("Z. Liu", "H. Mao", "C.-Y. Wu", "C. Feichtenhofer", "T. Darrell", "S. Xie"),
        "A ConvNet for the 2020s",
        "CVPR",
        2022,
    ),
    "densenet": Reference(
        ("G. Huang", "Z. Liu", "L. van der Maaten", "K. Q. Weinberger"),
        "Densely connected convolutional networks",
        "CVPR",
        2017,
    ),
    "efficientnet": Reference(
        ("M. Tan", "Q. V. Le"),
        "EfficientNet: Rethinking model scaling for convolutional neural networks",
        "ICML",
        2019,
    ),
    "efficientnet_v2": Reference(
        ("M. Tan", "Q. V. Le"), "EfficientNetV2: Smaller models and faster training", "ICML", 2021
    ),
    "googlenet": Reference(
        ("C. Szegedy", "W. Liu", "Y. Jia", "others"), "Going deeper with convolutions", "CVPR", 2015
    ),
    "inception_resnet_v2": Reference(
        ("C. Szegedy", "S. Ioffe", "V. Vanhoucke", "A. A. Alemi"),
        "Inception-v4, Inception-ResNet and the impact of residual connections on learning",
        "AAAI",
        2017,
    ),
    "inception_v3": Reference(
        ("C. Szegedy", "V. Vanhoucke", "S. Ioffe", "J. Shlens", "Z. Wojna"),
        "Rethinking the inception architecture for computer vision",
        "CVPR",
        2016,
    ),
    "maxvit": Reference(
        ("Z. Tu", "H. Talebi", "H. Zhang", "F. Yang", "P. Milanfar", "A. Bovik", "Y. Li"),
        "MaxViT: Multi-axis vision transformer",
        "ECCV",
        2022,
    ),
    "mnasnet": Reference(
        ("M. Tan", "B. Chen", "R. Pang", "V. Vasudevan", "M. Sandler", "A. Howard", "Q. V. Le"),
        "MnasNet: Platform-aware neural architecture search for mobile",
        "CVPR",
        2019,
    ),
    "mobilenet_v2": Reference(
        ("M. Sandler", "A. Howard", "M. Zhu", "A. Zhmoginov", "L.-C. Chen"),
        "MobileNetV2: Inverted residuals and linear bottlenecks",
        "CVPR",
        2018,
    ),
    "mobilenet_v3": Reference(
        ("A. Howard", "M. Sandler", "G. Chu", "others"), "Searching for MobileNetV3", "ICCV", 2019
    ),
    "regnet": Reference(
        ("I. Radosavovic", "R. P. Kosaraju", "R. Girshick", "K. He", "P. Dollár"),
        "Designing network design spaces",
        "CVPR",
        2020,
    ),
    "resnet": RESNET,
    "resnext": Reference(
        ("S. Xie", "R. Girshick", "P. Dollár", "Z. Tu", "K. He"),
        "Aggregated residual transformations for deep neural networks",
        "CVPR",
        2017,
    ),
    "shufflenet_v2": Reference(
        ("N. Ma", "X. Zhang", "H.-T. Zheng", "J. Sun"),
        "ShuffleNet V2: Practical guidelines for efficient CNN architecture design",
        "ECCV",
        2018,
    ),
    "squeezenet": Reference(
        ("F. N. Iandola", "S. Han", "M. W. Moskewicz", "K. Ashraf", "W. J. Dally", "K. Keutzer"),
        "SqueezeNet: AlexNet-level accuracy with 50x fewer parameters and <0.5MB model size",
        "arXiv:1602.07360",
        2016,
    ),
    "swin": Reference(
        ("Z. Liu", "Y. Lin", "Y. Cao", "H. Hu", "Y. Wei", "Z. Zhang", "S. Lin", "B. Guo"),
        "Swin Transformer: Hierarchical vision transformer using shifted windows",
        "ICCV",
        2021,
    ),
    "swin_v2": Reference(
        ("Z. Liu", "H. Hu", "Y. Lin", "others"),
        "Swin Transformer V2: Scaling up capacity and resolution",
        "CVPR",
        2022,
    ),
    "vgg": Reference(
        ("K. Simonyan", "A. Zisserman"),
        "Very deep convolutional networks for large-scale image recognition",
        "ICLR",
        2015,
    ),
    "vit": Reference(
        ("A. Dosovitskiy", "L. Beyer", "A. Kolesnikov", "others"),
        "An image is worth 16x16 words: Transformers for image recognition at scale",
        "ICLR",
        2021,
    ),
    "wide_resnet": Reference(("S. Zagoruyko", "N. Komodakis"), "Wide residual networks", "BMVC", 2016),
}
"""By the beginning of the architecture's name; the longest that fits counts."""


def architecture_references(name: str) -> tuple[Reference, ...]:
    """The publication of an architecture; none, where it is not known."""
    fitting = [beginning for beginning in ARCHITECTURES if name.startswith(beginning)]
    return (ARCHITECTURES[max(fitting, key=len)],) if fitting else ()
