"""What to cite for the data sets, and for what the phantoms imitate."""

from __future__ import annotations

from medrobust import Reference

CHESTXRAY14 = Reference(
    ("X. Wang", "Y. Peng", "L. Lu", "Z. Lu", "M. Bagheri", "R. M. Summers"),
    "ChestX-ray8: Hospital-scale chest X-ray database and benchmarks on weakly-supervised classification and "
    "localization of common thorax diseases",
    "CVPR",
    2017,
)
CIFAR10 = Reference(
    ("A. Krizhevsky",), "Learning multiple layers of features from tiny images", "University of Toronto", 2009
)
KAGGLE_RETINOPATHY = Reference(
    ("Kaggle", "EyePACS"),
    "Diabetic retinopathy detection",
    "Kaggle competition",
    2015,
    "https://www.kaggle.com/c/diabetic-retinopathy-detection",
)
EYEPACS = Reference(
    ("J. Cuadros", "G. Bresnick"),
    "EyePACS: An adaptable telemedicine system for diabetic retinopathy screening",
    "Journal of Diabetes Science and Technology 3(3)",
    2009,
)
ISIC2018 = Reference(
    ("N. Codella", "V. Rotemberg", "P. Tschandl", "others"),
    "Skin lesion analysis toward melanoma detection 2018: A challenge hosted by the International Skin Imaging "
    "Collaboration (ISIC)",
    "arXiv:1902.03368",
    2019,
)
HAM10000 = Reference(
    ("P. Tschandl", "C. Rosendahl", "H. Kittler"),
    "The HAM10000 dataset, a large collection of multi-source dermatoscopic images of common pigmented skin lesions",
    "Scientific Data 5:180161",
    2018,
    "10.1038/sdata.2018.161",
)
KERMANY = Reference(
    ("D. S. Kermany", "M. Goldbaum", "W. Cai", "others"),
    "Identifying medical diagnoses and treatable diseases by image-based deep learning",
    "Cell 172(5):1122-1131",
    2018,
    "10.1016/j.cell.2018.02.010",
)
KERMANY_DATA = Reference(
    ("D. S. Kermany", "K. Zhang", "M. Goldbaum"),
    "Labeled optical coherence tomography (OCT) and chest X-ray images for classification",
    "Mendeley Data",
    2018,
    "10.17632/rscbjbr9sj",
)
MEDMNIST = Reference(
    ("J. Yang", "R. Shi", "D. Wei", "Z. Liu", "L. Zhao", "B. Ke", "H. Pfister", "B. Ni"),
    "MedMNIST v2: A large-scale lightweight benchmark for 2D and 3D biomedical image classification",
    "Scientific Data 10:41",
    2023,
    "10.1038/s41597-022-01721-8",
)
IMAGENET = Reference(
    ("O. Russakovsky", "J. Deng", "H. Su", "others"),
    "ImageNet large scale visual recognition challenge",
    "International Journal of Computer Vision 115:211-252",
    2015,
    "10.1007/s11263-015-0816-y",
)
OPEN_IMAGES = Reference(
    ("A. Kuznetsova", "H. Rom", "N. Alldrin", "others"),
    "The Open Images dataset V4: Unified image classification, object detection, and visual relationship detection at "
    "scale",
    "International Journal of Computer Vision 128:1956-1981",
    2020,
    "10.1007/s11263-020-01316-z",
)
PCAM = Reference(
    ("B. S. Veeling", "J. Linmans", "J. Winkens", "T. Cohen", "M. Welling"),
    "Rotation equivariant CNNs for digital pathology",
    "MICCAI",
    2018,
)
CAMELYON16 = Reference(
    ("B. Ehteshami Bejnordi", "M. Veta", "P. J. van Diest", "others"),
    "Diagnostic assessment of deep learning algorithms for detection of lymph node metastases in women with breast "
    "cancer",
    "JAMA 318(22):2199-2210",
    2017,
    "10.1001/jama.2017.14585",
)
LC25000 = Reference(
    ("A. A. Borkowski", "M. M. Bui", "L. B. Thomas", "C. P. Wilson", "L. A. DeLand", "S. M. Mastorides"),
    "Lung and colon cancer histopathological image dataset (LC25000)",
    "arXiv:1912.12142",
    2019,
)
