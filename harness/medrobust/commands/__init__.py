"""What the commands of the command line share; public for those who add commands of their own.

A distribution adds commands by an entry point of the group `medrobust.commands` that names a function:

    [project.entry-points."medrobust.commands"]
    mine = "my_package.commands:add_commands"

    def add_commands(cli: typer.Typer) -> None:
        cli.command()(my_command)

The module is imported at every start, also of `medrobust --help`; import what takes time (torch, medrobust's session)
inside the commands that need it.
"""

from ..results.places import folder_or_url, local_folder, shown_place
from .damage import print_damage
from .next_command import next_command
from .options import (
    AccelerationOption,
    AddressOption,
    DataRootOption,
    DeviceOption,
    EvidenceOption,
    ExecutorOption,
    ImagesOption,
    JsonOption,
    PluginOption,
    PrecisionOption,
    ProfileOption,
    StoreOption,
    WorkersOption,
)
from .printing import console, errors, harmless, print_evidence, print_outcome
from .sessions import open_registry, open_session, print_notes, this_command

__all__ = [
    "AccelerationOption",
    "AddressOption",
    "DataRootOption",
    "DeviceOption",
    "EvidenceOption",
    "ExecutorOption",
    "ImagesOption",
    "JsonOption",
    "PluginOption",
    "PrecisionOption",
    "ProfileOption",
    "StoreOption",
    "WorkersOption",
    "console",
    "errors",
    "folder_or_url",
    "harmless",
    "local_folder",
    "next_command",
    "open_registry",
    "open_session",
    "print_damage",
    "print_evidence",
    "print_notes",
    "print_outcome",
    "shown_place",
    "this_command",
]
