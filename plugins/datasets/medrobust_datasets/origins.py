"""Where the data sets come from: pages, sizes, layouts, and what can be fetched without a login.

Checksums are those that publishers state (MedMNIST, PatchCamelyon, CIFAR-10) or that follow from a copy of a repository
at a given commit (the lists of hirano2021); where neither is known there is none.
"""

from __future__ import annotations

from medrobust import Origin, RemoteFile

_LISTS = "https://raw.githubusercontent.com/hkthirano/MedicalAI-UAP/1d386474ec383e0c808bd1b97326cfff3c9d0378/data"


def _lists(folder: str, train: str, test: str) -> tuple[RemoteFile, ...]:
    """The lists of training and test images of hirano2021, from the released code."""
    checksums = {"train": train, "test": test}
    return tuple(
        RemoteFile(
            f"{_LISTS}/{folder}/{split}_pre.csv", f"splits/hirano2021/{folder}_{split}.csv", f"sha256:{checksum}"
        )
        for split, checksum in checksums.items()
    )


_SKIN_LISTS = _lists(
    "melanoma",
    "8585ec5e5fe5213f38a9d218931472aed938dac503e256724aa64e0f7a630e56",
    "89fc4e295b52f60dc8af8c74ea0a0bf41db6034f02042dcb7ec9f91ebb644f14",
)
_OCT_LISTS = _lists(
    "oct",
    "ff0f074da0fdf6ed3f11a70c3a79480394978456f07d526972308432db56efe2",
    "4493a040ae84cb85b10ec682a12f75e8d68ca3636d16af1e00e1c79a6272144a",
)
_CHEST_LISTS = _lists(
    "chestx",
    "44ae7ec945805f2538cfb97a661e78e5432be638b7b4d5f0dd8519ae2beaeeb1",
    "6ab9ca592c8c8b67eef4b5ddfa05a86058a37f50f23dfdda3ee62c265b997389",
)

_ISIC = "https://isic-challenge-data.s3.amazonaws.com/2018/ISIC2018_Task3_Training_"
ISIC2018 = Origin(
    page="https://challenge.isic-archive.com/data/#2018",
    size="10,015 images, 2.6 GB",
    layout=(
        "isic2018/ISIC2018_Task3_Training_Input/ISIC_*.jpg",
        "isic2018/ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_GroundTruth.csv",
        "isic2018/ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_LesionGroupings.csv",
        "splits/hirano2021/melanoma_{train,test}.csv (lists of hirano2021 and minagi2022)",
    ),
    files=(
        RemoteFile(f"{_ISIC}Input.zip", "isic2018", packing="zip"),
        RemoteFile(f"{_ISIC}GroundTruth.zip", "isic2018", packing="zip"),
        RemoteFile(
            f"{_ISIC}LesionGroupings.csv",
            "isic2018/ISIC2018_Task3_Training_GroundTruth/ISIC2018_Task3_Training_LesionGroupings.csv",
        ),
        *_SKIN_LISTS,
    ),
)

_MENDELEY = "https://data.mendeley.com/public-files/datasets/rscbjbr9sj/files"
_RELEASE_3 = RemoteFile(f"{_MENDELEY}/810b2ce2-11c3-4424-996e-3bef36600907/file_downloaded", ".", packing="zip")
"""Both data sets in one archive (ZhangLabData.zip), whose folder is called CellData."""
KERMANY_PAGE = "https://data.mendeley.com/datasets/rscbjbr9sj"
KERMANY_XRAY = Origin(
    page=f"{KERMANY_PAGE}/2",
    size="5,856 images, 1.2 GB; release 3 with the OCT images in one archive",
    layout=(
        "kermany-cxr/chest_xray/{train,test}/{NORMAL,PNEUMONIA}/*.jpeg (release 2)",
        'CellData/chest_xray/{train,test}/{NORMAL,PNEUMONIA}/*.jpeg (release 3: path = "CellData/chest_xray")',
        "splits/hirano2021/chestx_{train,test}.csv (lists of hirano2021 and minagi2022; they name files of release 3)",
    ),
    files=(
        RemoteFile(f"{_MENDELEY}/f12eaf6d-6023-432f-acc9-80c9d7393433/file_downloaded", "kermany-cxr", packing="zip"),
        *_CHEST_LISTS,
    ),
)
KERMANY_OCT = Origin(
    page=f"{KERMANY_PAGE}/2",
    size="109,309 images, 5.8 GB; release 3 with the X-rays in one archive",
    layout=(
        "kermany-oct/OCT2017/{train,test}/{CNV,DME,DRUSEN,NORMAL}/*.jpeg (release 2)",
        'CellData/OCT/{train,test}/{CNV,DME,DRUSEN,NORMAL}/*.jpeg (release 3: path = "CellData/OCT")',
        "splits/hirano2021/oct_{train,test}.csv (lists of hirano2021 and minagi2022)",
    ),
    files=(
        RemoteFile(f"{_MENDELEY}/5699a1d8-d1b6-45db-bb92-b61051445347/file_downloaded", "kermany-oct", packing="tar"),
        *_OCT_LISTS,
    ),
)
KERMANY_XRAY_3 = (_RELEASE_3, *_CHEST_LISTS)
KERMANY_OCT_3 = (_RELEASE_3, *_OCT_LISTS)

_NIH = "https://nihcc.box.com/shared/static"
_NIH_ARCHIVES = (
    "vfk49d74nhbxq3nqjg0900w5nvkorp5c",
    "i28rlmbvmfjbl8p2n3ril0pptcmcu9d1",
    "f1t00wrtdk94satdfb9olcolqx20z2jp",
    "0aowwzs5lhjrceb3qp67ahp0rd1l1etg",
    "v5e3goj22zr6h8tzualxfsqlqaygfbsn",
    "asi7ikud9jwnkrnkj99jnpfkjdes7l6l",
    "jn1b4mw4n6lnh74ovmcjb8y48h8xj07n",
    "tvpxmn7qyrgl0w8wfh9kqfjskv6nmm1j",
    "upyy3ml7qdumlgk2rfcvlb9k6gvqq2pj",
    "l6nilvfa9cg3s28tqv1qc1olm3gnz54p",
    "hhq8fkdgvcari67vfhs7ppg2w6ni4jze",
    "ioqwiy20ihqwyr8pf4c24eazhh281pbu",
)
CHESTXRAY14 = Origin(
    page="https://nihcc.app.box.com/v/ChestXray-NIHCC",
    size="112,120 images of 30,805 patients, about 45 GB",
    layout=(
        "chestxray14/images/*.png (at any depth)",
        "chestxray14/Data_Entry_2017.csv (or Data_Entry_2017_v2020.csv)",
        "chestxray14/train_val_list.txt, chestxray14/test_list.txt (the official split)",
    ),
    access="the table and the two lists are downloaded from the page in a browser",
    files=tuple(RemoteFile(f"{_NIH}/{name}.gz", "chestxray14", packing="tar") for name in _NIH_ARCHIVES),
)
EYEPACS = Origin(
    page="https://www.kaggle.com/c/diabetic-retinopathy-detection/data",
    size="88,702 images (35,126 training, 53,576 test)",
    layout=(
        "eyepacs/trainLabels.csv",
        "eyepacs/retinopathy_solution.csv (labels of the test images)",
        "eyepacs/**/PATIENT_{left,right}.jpeg (at any depth)",
    ),
    access="a Kaggle account and acceptance of the competition's rules",
)
IMAGENET = Origin(
    page="https://image-net.org/challenges/LSVRC/2012/",
    size="1,281,167 training and 50,000 validation images, 138 and 6 GB",
    layout=('imagenet/train/{n01440764,...}/*.JPEG with path = "imagenet" (or class folders, or files side by side)',),
    access="an account of image-net.org and acceptance of its terms",
)
OPEN_IMAGES = Origin(
    page="https://storage.googleapis.com/openimages/web/download_v7.html",
    size="125,436 test images, 36 GB",
    layout=("natural/openimages/**/*.jpg (at any depth)",),
    files=(
        RemoteFile("https://s3.amazonaws.com/open-images-dataset/tar/test.tar.gz", "natural/openimages", None, "tar"),
    ),
)
CIFAR10 = Origin(
    page="https://www.cs.toronto.edu/~kriz/cifar.html",
    size="60,000 images, 163 MB",
    layout=("cifar10/cifar-10-batches-py/*",),
    files=(
        RemoteFile(
            "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
            "cifar10",
            "md5:c58f30108f718f92721af3b95e74349a",
            "tar",
        ),
    ),
)

_PCAM = "camelyonpatch_level_2_split"
_ZENODO_NAMES = {"train": "train", "valid": "test", "test": "valid"}
"""What the mirror on Zenodo calls the splits: valid and test are exchanged there, by the publisher's own checksums."""
_PCAM_CHECKSUMS = {
    ("train", "x"): "1571f514728f59376b705fc836ff4b63",
    ("train", "y"): "35c2d7259d906cfc8143347bb8e05be7",
    ("valid", "x"): "d8c2d60d490dbd479f8199bdfa0cf6ec",
    ("valid", "y"): "60a7035772fbdb7f34eb86d4420cf66a",
    ("test", "x"): "d5b63470df7cfa627aeec8b9dc0c066e",
    ("test", "y"): "2b85f58b927af9964a4c15b8f7e8f179",
    ("train", "meta"): "5a3dd671e465cfd74b5b822125e65b0a",
    ("valid", "meta"): "3455fd69135b66734e1008f3af684566",
    ("test", "meta"): "67589e00a4a37ec317f2d1932c7502ca",
}


def _pcam(split: str, what: str) -> RemoteFile:
    there = f"https://zenodo.org/record/2546921/files/{_PCAM}_{_ZENODO_NAMES[split]}_{what}"
    checksum = f"md5:{_PCAM_CHECKSUMS[split, what]}"
    if what == "meta":
        return RemoteFile(f"{there}.csv", f"pcam/{_PCAM}_{split}_meta.csv", checksum)
    return RemoteFile(f"{there}.h5.gz", f"pcam/{_PCAM}_{split}_{what}.h5", checksum, "gz")


PCAM = Origin(
    page="https://github.com/basveeling/pcam",
    size="327,680 images, 7.7 GB compressed",
    layout=(
        f"pcam/{_PCAM}_{{train,valid,test}}_{{x,y}}.h5",
        f"pcam/{_PCAM}_{{train,valid,test}}_meta.csv (slides)",
    ),
    files=tuple(_pcam(split, what) for split, what in _PCAM_CHECKSUMS),
)

LC25000 = Origin(
    page="https://github.com/tampapath/lung_colon_image_set",
    size="25,000 images, 1.9 GB",
    layout=("lc25000/**/{lung_n,lung_aca,lung_scc,colon_n,colon_aca}/*.jpeg (at any depth)",),
    access="the archive is on a page that its repository names",
)
