"""What to cite for the attacks."""

from __future__ import annotations

from medrobust import Reference

GOODFELLOW = Reference(
    ("I. J. Goodfellow", "J. Shlens", "C. Szegedy"), "Explaining and harnessing adversarial examples", "ICLR", 2015
)
KURAKIN = Reference(
    ("A. Kurakin", "I. J. Goodfellow", "S. Bengio"),
    "Adversarial examples in the physical world",
    "ICLR workshop",
    2017,
)
MADRY = Reference(
    ("A. Madry", "A. Makelov", "L. Schmidt", "D. Tsipras", "A. Vladu"),
    "Towards deep learning models resistant to adversarial attacks",
    "ICLR",
    2018,
)
CARLINI = Reference(
    ("N. Carlini", "D. Wagner"),
    "Towards evaluating the robustness of neural networks",
    "IEEE Symposium on Security and Privacy",
    2017,
)
MA = Reference(
    ("X. Ma", "Y. Niu", "L. Gu", "Y. Wang", "Y. Zhao", "J. Bailey", "F. Lu"),
    "Understanding adversarial attacks on deep learning based medical image analysis systems",
    "Pattern Recognition 110:107332",
    2021,
    "10.1016/j.patcog.2020.107332",
)
KOVALEV = Reference(
    ("V. Kovalev", "D. Voynov"),
    "Influence of control parameters and the size of biomedical image datasets on the success of adversarial attacks",
    "Pattern Recognition and Information Processing (PRIP)",
    2019,
)
AUTOATTACK = Reference(
    ("F. Croce", "M. Hein"),
    "Reliable evaluation of adversarial robustness with an ensemble of diverse parameter-free attacks",
    "ICML",
    2020,
)
FAB_ATTACK = Reference(
    ("F. Croce", "M. Hein"),
    "Minimally distorted adversarial examples with a fast adaptive boundary attack",
    "ICML",
    2020,
)
DEEPFOOL = Reference(
    ("S.-M. Moosavi-Dezfooli", "A. Fawzi", "P. Frossard"),
    "DeepFool: a simple and accurate method to fool deep neural networks",
    "CVPR",
    2016,
)
RONY = Reference(
    ("J. Rony", "L. G. Hafemann", "L. S. Oliveira", "I. Ben Ayed", "R. Sabourin", "E. Granger"),
    "Decoupling direction and norm for efficient gradient-based L2 adversarial attacks and defenses",
    "CVPR",
    2019,
)
FMN_ATTACK = Reference(
    ("M. Pintor", "F. Roli", "W. Brendel", "B. Biggio"),
    "Fast minimum-norm adversarial attacks through adaptive norm constraints",
    "NeurIPS",
    2021,
)
SQUARE = Reference(
    ("M. Andriushchenko", "F. Croce", "N. Flammarion", "M. Hein"),
    "Square attack: A query-efficient black-box adversarial attack via random search",
    "ECCV",
    2020,
)
MOOSAVI = Reference(
    ("S.-M. Moosavi-Dezfooli", "A. Fawzi", "O. Fawzi", "P. Frossard"),
    "Universal adversarial perturbations",
    "CVPR",
    2017,
)
TARGETED_UAP = Reference(
    ("H. Hirano", "K. Takemoto"),
    "Simple iterative method for generating targeted universal adversarial perturbations",
    "Algorithms 13(11):268",
    2020,
    "10.3390/a13110268",
)
HIRANO = Reference(
    ("H. Hirano", "A. Minagi", "K. Takemoto"),
    "Universal adversarial attacks on deep neural networks for medical image classification",
    "BMC Medical Imaging 21:9",
    2021,
    "10.1186/s12880-020-00530-y",
)
SHAFAHI = Reference(
    ("A. Shafahi", "M. Najibi", "Z. Xu", "J. Dickerson", "L. S. Davis", "T. Goldstein"),
    "Universal adversarial training",
    "AAAI",
    2020,
)
WETSTEIN = Reference(
    ("S. C. Wetstein", "C. González-Gonzalo", "G. Bortsova", "others"),
    "Adversarial attack vulnerability of medical image analysis systems: Unexplored factors",
    "arXiv:2006.06356",
    2020,
)
CARLINI_DETECTION = Reference(
    ("N. Carlini", "D. Wagner"),
    "Adversarial examples are not easily detected: Bypassing ten detection methods",
    "AISec",
    2017,
    "10.1145/3128572.3140444",
)
TRAMER = Reference(
    ("F. Tramer", "N. Carlini", "W. Brendel", "A. Madry"),
    "On adaptive attacks to adversarial example defenses",
    "NeurIPS",
    2020,
)
BRYNIARSKI = Reference(
    ("O. Bryniarski", "N. Hingun", "P. Pachuca", "V. Wang", "N. Carlini"),
    "Evading adversarial example detection defenses with orthogonal projected gradient descent",
    "ICLR",
    2022,
)
ART = Reference(
    ("M.-I. Nicolae", "M. Sinn", "M. N. Tran", "B. Buesser", "A. Rawat", "M. Wistuba", "others"),
    "Adversarial Robustness Toolbox v1.0.0",
    "arXiv 1807.01069",
    2018,
    "10.48550/arXiv.1807.01069",
)
FOOLBOX = Reference(
    ("J. Rauber", "R. Zimmermann", "M. Bethge", "W. Brendel"),
    "Foolbox Native: fast adversarial attacks to benchmark the robustness of machine learning models in PyTorch, "
    "TensorFlow, and JAX",
    "Journal of Open Source Software 5(53), 2607",
    2020,
    "10.21105/joss.02607",
)
TORCHATTACKS = Reference(
    ("H. Kim",),
    "Torchattacks: a PyTorch repository for adversarial attacks",
    "arXiv 2010.01950",
    2020,
    "10.48550/arXiv.2010.01950",
)
MEDMNIST_C = Reference(
    ("F. Di Salvo", "S. Doerrich", "C. Ledig"),
    "MedMNIST-C: comprehensive benchmark and improved classifier robustness by simulating realistic image corruptions",
    "arXiv 2406.17536",
    2024,
    "10.48550/arXiv.2406.17536",
)
