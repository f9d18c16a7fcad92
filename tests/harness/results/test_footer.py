"""The end of a Parquet file, read here and by pyarrow."""

from __future__ import annotations

import io
import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from medrobust.results.footer import BYTE_ARRAY, MAGIC, columns_in

ROWS = pa.table(
    {
        "name": ["a", "b", None, "d"],
        "logits": pa.array([[1.0, 2.0], [], None, [3.0]], pa.list_(pa.float32())),
        "classes": pa.array([["x"], ["y", "z"], [], None], pa.list_(pa.string())),
        "count": pa.array([1, 2, 3, 4], pa.int64()),
        "ok": [True, False, True, None],
    }
)


def written(**options: object) -> bytes:
    file = io.BytesIO()
    pq.write_table(ROWS, file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    "options",
    [{}, {"row_group_size": 1}, {"compression": "zstd"}, {"write_page_index": True}, {"version": "1.0"}],
    ids=str,
)
def test_it_says_what_pyarrow_says(options: dict[str, object]) -> None:
    data = written(**options)
    about = pq.read_metadata(pa.BufferReader(data))
    groups = [about.row_group(number) for number in range(about.num_row_groups)]
    theirs = [group.column(number) for group in groups for number in range(group.num_columns)]
    ours = columns_in(data)
    assert len(ours) == ROWS.num_columns * max(1, len(groups))
    for mine, other in zip(ours, theirs, strict=True):
        assert ".".join(mine.path) == other.path_in_schema
        assert (mine.values, mine.size) == (other.num_values, other.total_uncompressed_size)
        assert (mine.physical_type == BYTE_ARRAY) == (other.physical_type == "BYTE_ARRAY")


@pytest.mark.parametrize("data", [b"", MAGIC, b"PAR1\x00\x00\x00\x01PAR1", b"\xff" * 40 + b"\x20\x00\x00\x00PAR1"])
def test_what_is_no_end_of_a_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"does not end as|declares"):
        columns_in(data)


def refusal(data: bytes) -> str:
    try:
        columns_in(data)
    except ValueError as error:
        return str(error)
    return ""


def test_a_changed_end_is_read_or_refused() -> None:
    data = written()
    start = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    draw = random.Random(0)
    told = []
    for _ in range(2000):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 2, 8))):
            changed[draw.randrange(start, len(data) - 8)] = draw.randrange(256)
        told.append(refusal(bytes(changed)))
    assert 200 < sum(map(bool, told)) < 2000
    assert max(map(len, told)) < 200
