"""Find films to watch by the ones you like, on a web page, by ``python3 web.py``.

It works in the folder that `make.py` made, offline, with Python 3.10, NumPy 1.24 and nothing else. The page
is for this device alone. What somebody likes stays in their browser, and comes along with each question.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from films import FOLDER, AppError, Film, Films

from sparserec_np.errors import UnknownIdError

LOOPBACK = "127.0.0.1"
MAX_TEXT = 100
MAX_LIKED = 1000
MAX_FILMS = 100
MAX_EXACT = 2**53 - 1
"""Largest integer that JavaScript tells apart from its neighbours."""

Parameters = Mapping[str, list[str]]


class BadRequestError(Exception):
    """A question that has no answer; the message says what was found and expected."""


def search(films: Films, parameters: Parameters) -> dict[str, Any]:
    """Answer ``/api/search?text=…&k=…``."""
    text = _one(parameters, "text", "")
    if len(text) > MAX_TEXT:
        raise BadRequestError(f"text has {len(text)} characters; expected at most {MAX_TEXT}")
    return {"films": [_shown(film) for film in films.search(text, _k(parameters))]}


def recommend(films: Films, parameters: Parameters) -> dict[str, Any]:
    """Answer ``/api/recommend?liked=…&liked=…&k=…``."""
    try:
        liked = [films.recommender.item_ids.parse(text) for text in parameters.get("liked", [])]
        start = time.perf_counter()
        found = films.recommend(liked, _k(parameters))
        milliseconds = 1000 * (time.perf_counter() - start)
    except UnknownIdError as error:
        raise BadRequestError(str(error)) from None
    return {"films": [_shown(film) for film in found], "milliseconds": milliseconds, "n_films": len(films)}


ANSWERS: Mapping[str, Callable[[Films, Parameters], dict[str, Any]]] = {
    "/api/search": search,
    "/api/recommend": recommend,
}


class Page:
    """The one page, and the policy by which a browser runs nothing but what the page itself holds."""

    def __init__(self, path: Path) -> None:
        try:
            self.body = path.read_bytes()
        except OSError as error:
            raise AppError.of(error) from error
        self._path = path
        script, style = (self._digest(name) for name in ("script", "style"))
        self.policy = (
            f"default-src 'none'; script-src '{script}'; style-src '{style}'; connect-src 'self'; "
            "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )

    def _digest(self, element: str) -> str:
        match = re.search(rf"<{element}>(.*?)</{element}>".encode(), self.body, re.DOTALL)
        if match is None:
            raise AppError(f"{self._path}: found no <{element}>; make the app again with make.py")
        return f"sha256-{base64.b64encode(hashlib.sha256(match[1]).digest()).decode()}"


class Handler(BaseHTTPRequestHandler):
    """Serves one page and what it asks for; there are no other files, and so no paths to break out of.

    Parameters
    ----------
    films : Films
    page : Page
    """

    protocol_version = "HTTP/1.1"
    server_version, sys_version = "films", ""
    timeout = 30
    """Seconds after which a connection that says nothing is closed."""

    def __init__(self, *arguments: Any, films: Films, page: Page) -> None:
        self._films, self._page = films, page
        super().__init__(*arguments)

    def do_GET(self) -> None:
        """Answer a question."""
        try:
            url = urlsplit(self.path)
            if not self._is_for_us():
                self.send_error(HTTPStatus.FORBIDDEN, "this page is for the device that it runs on")
            elif url.path == "/":
                self._send(HTTPStatus.OK, "text/html; charset=utf-8", self._page.body)
            elif url.path in ANSWERS:
                parameters = parse_qs(url.query, keep_blank_values=True, max_num_fields=MAX_LIKED + 1)
                self._send_json(HTTPStatus.OK, ANSWERS[url.path](self._films, parameters))
            else:
                self.send_error(HTTPStatus.NOT_FOUND, "there is no such page")
        except (BadRequestError, ValueError) as error:
            self.send_error(HTTPStatus.BAD_REQUEST, str(error))

    def do_HEAD(self) -> None:
        """Answer without saying it."""
        self.do_GET()

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Say what is wrong in the way that all answers are said."""
        self.close_connection = True
        self._send_json(code, {"error": message or HTTPStatus(code).phrase})

    def log_message(self, format: str, *arguments: Any) -> None:
        """Keep quiet: what people like is nobody's business."""

    def _is_for_us(self) -> bool:
        """Whether the browser meant this page, and not a stranger's whose name leads here."""
        return self.headers.get("Host", "").partition(":")[0] in (LOOPBACK, "localhost")

    def _send_json(self, code: int, answer: dict[str, Any]) -> None:
        body = json.dumps(answer, ensure_ascii=False, allow_nan=False).encode()
        self._send(code, "application/json; charset=utf-8", body)

    def _send(self, code: int, type_: str, body: bytes) -> None:
        self.send_response(code)
        for name, value in (
            ("Content-Type", type_),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Content-Security-Policy", self._page.policy),
        ):
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Takes it calmly when many ask at once, or a browser goes away in the middle of an answer."""

    request_queue_size = 1024
    """Connections that may wait to be accepted; beyond them, some would wait for seconds, or be refused."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report a bug, but not a connection that is gone."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


def _one(parameters: Parameters, name: str, default: str) -> str:
    values = parameters.get(name, [default])
    if len(values) > 1:
        raise BadRequestError(f"{name} is given {len(values)} times; expected once")
    return values[0]


def _k(parameters: Parameters) -> int:
    text = _one(parameters, "k", "20")
    if not re.fullmatch("[0-9]{1,3}", text) or not 1 <= int(text) <= MAX_FILMS:
        raise BadRequestError(f"k is {text!r}; expected an integer from 1 to {MAX_FILMS}")
    return int(text)


def _shown(film: Film) -> dict[str, Any]:
    # A number in JavaScript has 53 bits; with more, an id would lose digits on its way through the page.
    exact = isinstance(film.id, str) or abs(film.id) <= MAX_EXACT
    return {**film._asdict(), "id": film.id if exact else str(film.id), "genres": film.genres.split()}


def main() -> int:
    """Serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description="Find films to watch by the ones you like, on a web page.")
    parser.add_argument("--port", type=int, default=8000, help="0 for any that is free [default: 8000]")
    port = parser.parse_args().port
    try:
        handler = partial(Handler, films=Films.load(FOLDER), page=Page(FOLDER / "page.html"))
    except AppError as error:
        print(error, file=sys.stderr)
        return 1
    try:
        server = Server((LOOPBACK, port), handler)
    except (OSError, OverflowError) as error:
        print(f"port {port} cannot be used ({error}); give another one with --port", file=sys.stderr)
        return 1
    with server:
        print(f"Open http://{LOOPBACK}:{server.server_port}/ in a browser; Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
