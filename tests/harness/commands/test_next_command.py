"""The line that says what to do next can be typed as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from medrobust.commands import folder_or_url, next_command


def test_it_keeps_what_was_given_and_leaves_out_what_was_not(capsys: pytest.CaptureFixture[str]) -> None:
    next_command("run", Path("my grid.toml"), images=6, store=None, profile="", plugin=[Path("a.py"), Path("b [x].py")])
    assert capsys.readouterr().out == (
        "Next: medrobust run 'my grid.toml' --images 6 --plugin a.py --plugin 'b [x].py'\n"
    )


def test_names_of_parameters_become_those_of_options(capsys: pytest.CaptureFixture[str]) -> None:
    next_command("leaderboard", "kept", data_root=Path("/data"))
    assert capsys.readouterr().out == "Next: medrobust leaderboard kept --data-root /data\n"


def test_a_url_stays_one(capsys: pytest.CaptureFixture[str]) -> None:
    next_command("leaderboard", folder_or_url("s3://bucket/store"), store=folder_or_url("kept"))
    assert capsys.readouterr().out == "Next: medrobust leaderboard s3://bucket/store --store kept\n"
