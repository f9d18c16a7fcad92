"""`medrobust judge`: a model of one's own, judged in one command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from medrobust.commands import DataRootOption, DeviceOption, PluginOption, console, errors, open_session, print_damage

STORE = Path("medrobust-judged")


def judge(
    model: Annotated[
        str,
        typer.Option(
            "--model",
            metavar="MODEL",
            help="What gives the network: package.module:name or file.py:name, a model plugin (a name, or a table as "
            "in a grid), or a file of a whole model (with --trust-code).",
        ),
    ],
    data: Annotated[
        str,
        typer.Option(
            "--data",
            metavar="DATA",
            help="A folder of images (class folders, with train and test above them or not; or images alone), or a "
            "data set plugin (a name, or a table as in a grid).",
        ),
    ],
    weights: Annotated[
        Path | None,
        typer.Option("--weights", metavar="FILE", help="Weights: .safetensors, or a torch file of weights only."),
    ] = None,
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the report.")] = Path("judgement"),
    time: Annotated[
        str, typer.Option("--time", metavar="TIME", help="Fit the trials to a time: 10m, 90s, 1h, or 'all' for all.")
    ] = "10m",
    images: Annotated[int, typer.Option("--images", metavar="N", min=2, help="Images that are judged at most.")] = 500,
    input: Annotated[  # noqa: A002 - the name of the option
        str,
        typer.Option(
            "--input",
            metavar="SCALE",
            help="What the network takes: unit ([0, 1]; it normalises itself), imagenet, centre ([-1, 1]), bytes (0 to "
            "255), xrv, 'mean=0.5 std=0.25', or auto: found out by its clean accuracy.",
        ),
    ] = "auto",
    outputs: Annotated[
        str,
        typer.Option(
            "--outputs", metavar="A,B", help="Classes in the order of the network's outputs (default: found out)."
        ),
    ] = "",
    model_args: Annotated[
        str, typer.Option("--model-args", metavar="TABLE", help="Arguments of the factory, such as 'num_classes = 2'.")
    ] = "",
    size: Annotated[
        int | None, typer.Option("--size", metavar="N", min=8, help="Side of the images in pixels.")
    ] = None,
    channels: Annotated[
        int | None, typer.Option("--channels", min=1, max=3, help="1 for grey, 3 for colour (default: as the network).")
    ] = None,
    trials: Annotated[
        Path | None,
        typer.Option("--trials", metavar="FILE", help="A list of what is tried, not the bundled one."),
    ] = None,
    stochastic: Annotated[
        bool, typer.Option("--stochastic", help="Declare that equal images may get different outputs.")
    ] = False,
    with_images: Annotated[
        bool, typer.Option("--with-images", help="Show telling images in the report; without it, it has no picture.")
    ] = False,
    trust_code: Annotated[
        bool,
        typer.Option(
            "--trust-code",
            help="Open files that run code when they are loaded: pickles, TorchScript, exported programs.",
        ),
    ] = False,
    store: Annotated[Path | None, typer.Option("--store", metavar="DIR", help="Folder where records are kept.")] = None,
    plugin: PluginOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "",
) -> None:
    """Judge a model of your own: what breaks it, how small a change suffices, and can the numbers be trusted?"""
    from medrobust.api import JudgeOptions, judge_named

    from .page import write_judgement

    def say(line: str) -> None:
        errors.print(f"... {line}", style="dim", markup=False, highlight=False, soft_wrap=True)

    options = JudgeOptions.of(
        input=input,
        outputs=tuple(name.strip() for name in outputs.split(",") if name.strip()),
        time=time,
        trials=trials,
        with_images=with_images,
        stochastic=stochastic,
        say=say,
    )
    session = open_session(store or STORE, plugin=plugin, data_root=data_root, device=device)
    judgement = judge_named(
        session,
        model,
        data,
        options,
        weights=weights,
        model_args=model_args,
        size=size,
        channels=channels,
        limit=images,
        trust_code=trust_code,
    )
    page = write_judgement(judgement, out)
    console.print(str(judgement), markup=False, highlight=False, soft_wrap=True, end="")
    print_damage(session.store)
    console.print(f"Records: {session.store.path}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Page: {os.path.relpath(page)}", markup=False, highlight=False, soft_wrap=True)
