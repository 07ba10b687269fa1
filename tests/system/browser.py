"""A real Chromium, steered over the DevTools protocol by the WebSocket library that we have anyway."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.hang import HANG_S

from .terminal import until

CHROMIUM = shutil.which("chromium")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
)


class Page:
    """One tab.

    Attributes:
        complaints: what the page threw, and what the browser refused it.
    """

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self.complaints: list[str] = []
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for text in self._socket:
            message = json.loads(text)
            if "id" in message:
                self._waiting.pop(message["id"]).set_result(message)
            elif message["method"] == "Runtime.exceptionThrown":
                self.complaints.append(json.dumps(message["params"]["exceptionDetails"]))
            elif message["method"] == "Log.entryAdded":
                entry = message["params"]["entry"]
                if entry["level"] == "error" and entry["source"] != "network":
                    self.complaints.append(entry["text"])

    async def ask(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command of the protocol and give back its result."""
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        message = await asyncio.wait_for(answer, HANG_S)
        assert "error" not in message, message
        result: dict[str, Any] = message["result"]
        return result

    async def start(self) -> None:
        """Listen to what goes wrong from now on."""
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self.ask(f"{domain}.enable")

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression, awaited if it is a promise."""
        answer = await self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def open(self, url: str) -> None:
        """Go there."""
        await self.ask("Page.navigate", url=url)

    async def text(self) -> str:
        """What can be read on the page."""
        return str(await self.run("document.body?.innerText ?? ''"))

    async def until(self, script: str, seconds: float = HANG_S) -> None:
        """Wait until an expression is true.

        Raises:
            AssertionError: it never was.
        """
        for _ in range(int(seconds / 0.05)):
            with contextlib.suppress(AssertionError):
                if await self.run(script):
                    return
            await asyncio.sleep(0.05)
        raise AssertionError(f"never so: {script}\n{await self.text()}\n{self.complaints}")

    async def picture(self, *, width: int, height: int, scheme: str = "light") -> bytes:
        """A PNG of the whole page, as a window of that width shows it."""
        await self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        await self.ask("Emulation.setDeviceMetricsOverride", **metrics)
        await asyncio.sleep(0.3)
        shot = await self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(shot["data"])


@contextlib.asynccontextmanager
async def chromium(directory: Path) -> AsyncIterator[Page]:
    """A browser with an empty profile in ``directory``, and one page."""
    assert CHROMIUM is not None
    profile = directory / "chromium"
    env = {"PATH": os.environ["PATH"], "HOME": str(directory), "LANG": "C.UTF-8", "NO_PROXY": "*"}
    process = await asyncio.create_subprocess_exec(
        CHROMIUM,
        *_FLAGS,
        f"--user-data-dir={profile}",
        "about:blank",
        env=env,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        port_file = profile / "DevToolsActivePort"
        await until(lambda: port_file.is_file() and "\n" in port_file.read_text(), 60)
        port = int(port_file.read_text().splitlines()[0])
        async with connect(await _page_url(port), max_size=None, ping_interval=None, open_timeout=HANG_S) as socket:
            page = Page(socket)
            await page.start()
            yield page
            page._reading.cancel()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _page_url(port: int) -> str:
    import httpx

    async with asyncio.timeout(HANG_S), httpx.AsyncClient(trust_env=False, timeout=HANG_S) as http:
        while True:
            for target in (await http.get(f"http://127.0.0.1:{port}/json/list")).json():
                if target["type"] == "page":
                    return str(target["webSocketDebuggerUrl"])
            await asyncio.sleep(0.05)
