"""Drive a real browser: headless Chromium, by the few lines of the WebDriver protocol that it takes."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"  # the protocol's own name for "an element"


class Browser:
    """A phone: a narrow screen that is touched. Use it in a ``with``."""

    def __init__(self, width=390, height=844):
        self._folder = tempfile.TemporaryDirectory(prefix="browser-")
        self._driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        ready = (re.search(r"started successfully on port (\d+)", line) for line in self._driver.stdout)
        port = next(match[1] for match in ready if match)
        self._session = f"http://127.0.0.1:{port}/session"
        arguments = (
            "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync "
            "--disable-background-networking --disable-component-update --hide-scrollbars"
        )
        options = {
            "binary": CHROMIUM,
            "args": [*arguments.split(), f"--user-data-dir={self._folder.name}"],
            "mobileEmulation": {"deviceMetrics": {"width": width, "height": height, "pixelRatio": 2}},
        }
        capabilities = {"goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        answer = self._call("POST", "", {"capabilities": {"alwaysMatch": capabilities}})
        self._session += f"/{answer['sessionId']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._call("DELETE", "")
        finally:
            self._driver.terminate()
            self._driver.wait(30)
            self._driver.stdout.close()
            self._folder.cleanup()

    def open(self, url):
        self._call("POST", "/url", {"url": url})

    def run(self, script, *arguments):
        """Run JavaScript in the page and return its value."""
        return self._call("POST", "/execute/sync", {"script": script, "args": arguments})

    def texts(self, selector):
        """Texts of all that a CSS selector finds and a person can see."""
        return self.run(
            "return [...document.querySelectorAll(arguments[0])]"
            ".filter((found) => found.offsetHeight).map((found) => found.innerText)",
            selector,
        )

    def click(self, selector, number=0):
        self._call("POST", f"/element/{self._find(selector)[number]}/click", {})

    def type(self, selector, text):
        self._call("POST", f"/element/{self._find(selector)[0]}/value", {"text": text})

    def wait_for(self, condition, what, seconds=10):
        """Wait until a function of no argument returns something true, and return that."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited {seconds} s for {what}"
            time.sleep(0.02)
        return found

    def complaints(self):
        """What the console holds: errors, and whatever the content policy stopped."""
        return [entry["message"] for entry in self._call("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path):
        Path(path).write_bytes(base64.b64decode(self._call("GET", "/screenshot")))

    def _find(self, selector):
        found = self._call("POST", "/elements", {"using": "css selector", "value": selector})
        return [element[_ELEMENT] for element in found]

    def _call(self, method, path, body=None):
        request = urllib.request.Request(
            self._session + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None
