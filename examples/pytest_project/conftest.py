"""The model under test: the release that MODEL names."""

import os

import pytest
from fundus_net import FundusNet, load


@pytest.fixture(scope="session")
def medrobust_model() -> FundusNet:
    return load(os.environ.get("MODEL", "v1"))
