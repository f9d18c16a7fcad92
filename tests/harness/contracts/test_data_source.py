"""Where files are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust import DataSource, DataUnavailable


@pytest.mark.parametrize("path", ["/etc/passwd", "../secret", "a/../../secret", "link/secret", "~/secret", "/dev/zero"])
def test_records_of_a_stranger_name_nothing_outside_the_data_root(path: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "a").mkdir(parents=True)
    (tmp_path / "secret").touch()
    (root / "link").symlink_to(tmp_path)
    with pytest.raises(DataUnavailable, match=r"below the data root alone|is not at"):
        DataSource(root, confined=True).find(path, what="the file")
    (root / "inside").touch()
    assert DataSource(root, confined=True).find("inside", what="the file") == root.resolve() / "inside"
    assert DataSource(root).find("../secret", what="the file").exists()
