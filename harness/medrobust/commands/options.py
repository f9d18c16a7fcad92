"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from ..results.places import folder_or_url

DEFAULT_STORE = Path("medrobust-store")

GridArgument = Annotated[Path, typer.Argument(metavar="GRID", help="A grid file (TOML), or the name of a paper.")]
PluginOption = Annotated[
    list[Path] | None, typer.Option("--plugin", metavar="FILE", help="Load a local plugin file; can be repeated.")
]
DataRootOption = Annotated[
    Path | None,
    typer.Option("--data-root", metavar="DIR", help="Folder of file-based data sets (default: MEDROBUST_DATA)."),
]
StoreOption = Annotated[
    Path | None,
    typer.Option(
        "--store",
        metavar="DIR|URL",
        parser=folder_or_url,
        help="Folder where results are kept, or a URL such as s3://bucket/store.",
    ),
]
WorkersOption = Annotated[
    int | None, typer.Option("--workers", metavar="N", min=1, help="Number of processes (default: one per core).")
]
ExecutorOption = Annotated[
    Literal["local", "dask"],
    typer.Option(
        "--executor",
        help="Where steps run: processes of this machine (local), or workers of Dask, which --address names; without "
        "it, a Dask cluster of this machine. Needs the extra dask.",
    ),
]
AddressOption = Annotated[
    str,
    typer.Option(
        "--address",
        metavar="URL",
        help="Scheduler of a Dask cluster (tcp://HOST:PORT, tls://HOST:PORT, or the file.json it has written).",
    ),
]
DeviceOption = Annotated[
    str, typer.Option("--device", help="Torch device, such as cpu or cuda (default: CUDA if available).")
]
ProfileOption = Annotated[str, typer.Option("--profile", metavar="NAME", help="Profile of the grid file.")]
ImagesOption = Annotated[
    int | None, typer.Option("--images", metavar="N", min=1, help="Limit every evaluation to about N images.")
]
PrecisionOption = Annotated[
    Literal["float32", "bfloat16", "mixed"] | None,
    typer.Option(
        "--precision",
        help="Arithmetic in which attacks compute, instead of what the grid says (float32 by default). bfloat16 is "
        "faster where the hardware supports it and finds slightly different adversarial images; mixed repeats in "
        "float32 what bfloat16 does not break and needs stop = 'success' in the grid. Verdicts are always float32.",
    ),
]
EvidenceOption = Annotated[
    bool,
    typer.Option(
        "--evidence/--no-evidence",
        help="Add the few inexpensive cells that show whether results can be trusted.",
    ),
]
AccelerationOption = Annotated[
    str,
    typer.Option(
        "--acceleration",
        help="Parts of the fast path: auto, none, or a list of fold, first-conv, channels-last, compile.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
