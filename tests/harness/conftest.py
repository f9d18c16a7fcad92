"""A local server of files, for what is fetched; and distributions of strangers, as pip installs them."""

from __future__ import annotations

import hashlib
import importlib
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from textwrap import dedent

import pytest


@dataclass
class Server:
    """Serves files with ranges and ETags, and hangs up after so many bytes where it is told to.

    Attributes:
        files: content by path.
        hang_up: bytes after which the next answers end, one entry an answer.
        asked: the ranges asked for, in order; empty for none.
        ranges: whether it knows ranges.
    """

    address: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    hang_up: list[int] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    ranges: bool = True

    def url(self, name: str, content: bytes) -> str:
        self.files[f"/{name}"] = content
        return f"{self.address}/{name}"

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        content = self.files.get(handler.path.partition("?")[0])
        wanted = handler.headers.get("Range", "")
        self.asked.append(wanted)
        if content is None:
            handler.send_error(404)
            return
        tag = f'"{hashlib.md5(content).hexdigest()}"'
        start = 0
        if wanted and self.ranges and handler.headers.get("If-Range") in (None, tag):
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                handler.send_error(416)
                return
        handler.send_response(206 if start else 200)
        handler.send_header("ETag", tag)
        handler.send_header("Content-Length", str(len(content) - start))
        if start:
            handler.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        handler.end_headers()
        stop = start + self.hang_up.pop(0) if self.hang_up else len(content)
        handler.wfile.write(content[start:stop])
        if stop < len(content):
            handler.connection.close()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    from medrobust.engine import resuming

    monkeypatch.setattr(resuming, "BLOCK", 10_000)
    monkeypatch.setattr(resuming, "PAUSE", 0.01)
    served = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.answer(self)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        served.address = f"http://127.0.0.1:{running.server_port}"
        yield served
        running.shutdown()
        thread.join()


class Site:
    """A folder of installed distributions, as pip would leave it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modules: list[str] = []

    def install(
        self,
        distribution: str,
        code: str,
        *,
        module: str = "",
        version: str = "1.2",
        group: str = "medrobust",
        attribute: str = "",
    ) -> None:
        """Install a distribution with one module, which an entry point of a group names, or an attribute of it."""
        module = module or distribution.replace("-", "_")
        self.modules.append(module)
        (self.path / f"{module}.py").write_text(dedent(code), encoding="utf-8")
        folder = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        value = f"{module}:{attribute}" if attribute else module
        (folder / "entry_points.txt").write_text(f"[{group}]\nplugins = {value}\n")
        importlib.invalidate_caches()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    installed = Site(folder)
    yield installed
    for module in installed.modules:
        sys.modules.pop(module, None)
