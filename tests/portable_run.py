"""Imports every module, then runs commands, on a machine that seems to lack what Windows lacks.

    python tests/portable_run.py FOLDER COMMANDS

COMMANDS is JSON: lists of words after `medrobust`, run one after the other in FOLDER. Only this project's own modules
are denied the modules; other libraries look for them in their own ways, on Windows too.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib
import json
import os
import pkgutil
import signal
import sys
from typing import Any

POSIX_MODULES = {"crypt", "fcntl", "grp", "nis", "posix", "pty", "pwd", "resource", "spwd", "syslog", "termios", "tty"}
POSIX_NAMES = {
    os: ("chown", "fork", "forkpty", "getpgid", "killpg", "mkfifo", "nice", "pread", "sched_getaffinity"),
    signal: ("SIGALRM", "SIGHUP", "SIGKILL", "SIGUSR1", "SIGXCPU", "alarm", "setitimer"),
}
PACKAGES = (
    "medrobust",
    "medrobust_datasets",
    "medrobust_models",
    "medrobust_attacks",
    "medrobust_defenses",
    "medrobust_leaderboard",
)
_import, _open = builtins.__import__, os.open


def without_posix_modules(name: str, globals: Any = None, *rest: Any, **options: Any) -> Any:  # noqa: A002 - as its original
    importer = str((globals or {}).get("__name__", ""))
    if name.partition(".")[0] in POSIX_MODULES and importer.startswith("medrobust"):
        raise ImportError(f"no module named '{name}' on Windows; imported by {importer}")
    return _import(name, globals, *rest, **options)


def without_folders(path: Any, *rest: Any, **options: Any) -> int:
    """Windows opens no folders."""
    if not isinstance(path, int) and os.path.isdir(path):  # noqa: PTH112 - a PathLike, bytes or str
        raise PermissionError(13, "Permission denied", str(path))
    return _open(path, *rest, **options)


def modules() -> list[str]:
    """All modules of the packages; the plugin of pytest needs a test run, and is imported by one."""
    found = []
    for name in PACKAGES:
        package = importlib.import_module(name)
        found += [name, *(each.name for each in pkgutil.walk_packages(package.__path__, f"{name}."))]
    return found


def main(folder: str, commands: str) -> None:
    """Import everything, then run the commands."""
    os.chdir(folder)
    builtins.__import__, os.open = without_posix_modules, without_folders
    for name in modules():
        importlib.import_module(name)
    # Others look for some of these when they are imported, and ask for the system first where they use more of them.
    for module, names in POSIX_NAMES.items():
        for name in names:
            with contextlib.suppress(AttributeError):
                delattr(module, name)
    from medrobust.cli import main as program

    for words in json.loads(commands):
        sys.argv = ["medrobust", *words]
        try:
            program()
        except SystemExit as end:
            if end.code:
                raise


if __name__ == "__main__":
    main(*sys.argv[1:])
