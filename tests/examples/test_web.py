"""The web page: what it answers to programs, and what a person on a phone gets."""

import contextlib
import http.client
import importlib
import json
import shutil
import signal
import socket
import subprocess
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote, urlsplit

import browser as browsers
import numpy as np
import pytest
from films import Film, Films
from made_up import TITLES
from web import recommend, search

from sparserec_np.runtime import IdMap, ModelData, Recommender, TableData

HOSTILE = TITLES[3][1]


def get(web, path, **headers):
    """Status, headers and body, read as JSON where it is that."""
    connection = http.client.HTTPConnection(urlsplit(web).netloc, timeout=20)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    is_json = response.headers["Content-Type"].startswith("application/json")
    return response.status, response.headers, json.loads(body) if is_json else body


def answer(web, path):
    status, _, found = get(web, path)
    assert status == 200, found
    return found


def test_the_page_may_run_only_what_it_holds(web):
    status, headers, body = get(web, "/")
    assert status == 200
    assert body.startswith("<!doctype html>")
    assert "default-src 'none'; script-src 'sha256-" in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "http://" not in body.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in body


def test_search(web):
    found = answer(web, "/api/search?text=the%20reactor")["films"]
    assert found == [{"id": 3, "title": "The Reactor", "year": "1983", "genres": ["Sci-Fi", "Thriller"]}]
    assert [film["id"] for film in answer(web, "/api/search?text=react&k=1")["films"]] == [8]
    assert answer(web, "/api/search?text=")["films"] == answer(web, "/api/search")["films"] == []
    assert answer(web, f"/api/search?text={quote('égalité')}")["films"][0]["title"] == "2049: Égalité"


def test_recommend(web):
    assert [film["id"] for film in answer(web, "/api/recommend?liked=8&k=2")["films"]] == [3, 15]
    assert [film["id"] for film in answer(web, "/api/recommend")["films"]][:2] == [8, 23]
    everything = answer(web, "/api/recommend?k=100&liked=3&liked=8&liked=8")
    assert {film["id"] for film in everything["films"]} == {15, 16, 23, 42}
    assert everything["n_films"] == 6


@pytest.mark.parametrize(
    ("ids", "sent"),
    [
        ([-(2**63), -5, 2**53 - 1, 2**63 - 1], [str(-(2**63)), -5, 2**53 - 1, str(2**63 - 1)]),
        (['"7"', "007", "a\nb", "a,b"], None),
    ],
)
def test_ids_come_back_as_they_were_sent(ids, sent):
    """A number of JavaScript has 53 bits: an id of more is sent as text, and understood as text."""
    titles = [f"title {n} x" for n in range(4)]
    model = ModelData(
        items=TableData(np.arange(5), np.zeros(4, np.uint8), np.ones(4, np.float32), dim=1),
        item_ids=IdMap.from_ids(ids),
        popularity=np.array([4, 3, 2, 1]),
    )
    rows = zip(ids, titles, strict=True)
    films = Films(Recommender(model), [Film(id, title, "1999", "Drama") for id, title in rows])
    found = [film["id"] for film in json.loads(json.dumps(search(films, {"text": ["title"]})))["films"]]
    assert found == (sent or ids)
    for place, id in enumerate(found):
        left = recommend(films, {"liked": [str(id)]})["films"]
        assert {film["id"] for film in left} == {*found} - {found[place]}


@pytest.mark.parametrize(
    ("path", "status", "message"),
    [
        ("/api/recommend?liked=7", 400, "unknown item 7; the closest known: 8"),
        (f"/api/recommend?liked={2**63 - 1}", 400, f"unknown item {2**63 - 1}; the closest known: 42"),
        (f"/api/recommend?liked={2**63}", 400, f"unknown item '{2**63}'; the closest known: 42"),
        ("/api/recommend?liked=" + "9" * 5000, 400, "unknown item '9999"),
        ("/api/recommend?liked=%ff", 400, "unknown item '\ufffd'"),
        ("/api/recommend?liked=Alien", 400, "unknown item 'Alien'"),
        ("/api/recommend?liked=", 400, "unknown item"),
        ("/api/recommend?liked=99999999999999999999999", 400, "unknown item"),
        ("/api/recommend?k=0", 400, "k is '0'; expected an integer from 1 to 100"),
        ("/api/recommend?k=101", 400, "k is '101'"),
        ("/api/recommend?k=1e9", 400, "k is '1e9'"),
        ("/api/recommend?k=1&k=2", 400, "k is given 2 times"),
        ("/api/recommend?" + "liked=3&" * 2000, 400, "fields"),
        ("/api/search?text=" + "a" * 101, 400, "text has 101 characters; expected at most 100"),
        ("/" + "a" * 70_000, 414, "Too Long"),
        ("/api/", 404, "no such page"),
        ("/model.srec", 404, "no such page"),
        ("/../../../../etc/passwd", 404, "no such page"),
        ("/%2e%2e/%2e%2e/etc/passwd", 404, "no such page"),
        ("//etc/passwd", 404, "no such page"),
        ("/page.html", 404, "no such page"),
    ],
)
def test_wrong_questions(web, path, status, message):
    found_status, _, found = get(web, path)
    assert found_status == status
    assert message in found["error"]


def test_other_methods_are_refused(web):
    request = urllib.request.Request(web + "api/search", data=b"{}", method="POST")
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(request, timeout=20)
    assert error.value.code == 501
    assert "POST" in json.load(error.value)["error"]


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", ""])
def test_names_that_only_lead_here_are_refused(web, host):
    status, _, found = get(web, "/", Host=host)
    assert (status, found["error"]) == (403, "this page is for the device that it runs on")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n\r\n",
        b"GET http://[/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET\r\n\r\n",
        b"\xff\x00\n\n",
        b"GET / HTTP/9.9\r\n\r\n",
    ],
)
def test_it_survives_what_is_no_http(web, garbage):
    with socket.create_connection(("127.0.0.1", urlsplit(web).port), timeout=20) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert answer(web, "/api/search?text=react")["films"]


def test_many_at_once(web):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: answer(web, "/api/recommend?liked=8&k=2")["films"], range(100)))
    assert all(films == found[0] for films in found)


def test_two_hundred_connect_before_one_is_answered(web):
    """They all connect at once, and all are answered."""
    clients = []
    try:
        for _ in range(200):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", urlsplit(web).port))
            clients.append(client)
        for client in clients:
            client.settimeout(20)
            client.sendall(
                b"GET /api/search?text=react HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
        for client in clients:
            found = b""
            while part := client.recv(65536):
                found += part
            assert found.startswith(b"HTTP/1.1 200 OK")
            assert b"Reactor Nights" in found
    finally:
        for client in clients:
            client.close()


def test_it_lets_many_wait(app):
    """Two hundred can connect while the program does not get round to accepting one of them."""
    web = importlib.import_module("web")
    with web.Server(("127.0.0.1", 0), web.Handler) as server, contextlib.ExitStack() as stack:
        for _ in range(200):
            stack.enter_context(socket.create_connection(server.server_address, timeout=5))


@pytest.mark.parametrize("program", ["web.py", "terminal.py"])
@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("model.srec", lambda content: content[:-40], "model.srec: "),
        ("model.srec", lambda content: b"no model at all", "model.srec: header length"),
        ("model.srec", lambda content: b"", "model.srec: the file holds 0 bytes"),
        ("model.srec", None, "model.srec is missing; make the app with make.py"),
        ("titles.tsv", None, "titles.tsv is missing; make the app with make.py"),
        ("titles.tsv", lambda content: content[:-30], "titles.tsv, line 6: found 2 fields; expected 4"),
        ("titles.tsv", lambda content: content + b"\xff\xff", "titles.tsv: found what is not text in UTF-8"),
        ("titles.tsv", lambda content: b"x" + content, "titles.tsv, line 1: 'x3' is not an id"),
        ("titles.tsv", lambda content: b"", "film 3 of the model has no title"),
    ],
)
def test_damaged_files_are_a_line(app, alone, tmp_path, program, name, damage, message):
    folder = shutil.copytree(app, tmp_path / "films")
    content = (folder / name).read_bytes()
    (folder / name).unlink()
    if damage is not None:
        (folder / name).write_bytes(damage(content))
    more = ["--port", "0"] if program == "web.py" else []
    result = subprocess.run(
        [*alone, str(folder / program), *more], capture_output=True, text=True, timeout=60, input=""
    )
    assert result.returncode == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "make.py" in result.stderr


def test_a_damaged_page_is_a_line(app, alone, tmp_path):
    folder = shutil.copytree(app, tmp_path / "films")
    (folder / "page.html").write_text("<p>")
    result = subprocess.run([*alone, str(folder / "web.py"), "--port", "0"], capture_output=True, text=True)
    assert result.stderr == f"{folder / 'page.html'}: found no <script>; make the app again with make.py\n"


def test_only_this_device_can_connect(web):
    # Every address in 127/8 is this device, but the page listens at one.
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.2", urlsplit(web).port), timeout=5)


def test_ctrl_c_ends_it_quietly_and_frees_the_port(app, alone):
    command = [*alone, str(app / "web.py"), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    web = process.stdout.readline().split()[1]
    taken = subprocess.run(
        [*command[:-1], str(urlsplit(web).port)], capture_output=True, text=True, timeout=60
    )
    assert taken.returncode == 1
    assert "cannot be used" in taken.stderr
    assert "Traceback" not in taken.stderr
    keeps_open = http.client.HTTPConnection(urlsplit(web).netloc)
    keeps_open.request("GET", "/")
    keeps_open.getresponse().read()
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20)[1] == ""
    assert process.returncode == 0
    keeps_open.close()


@pytest.fixture
def phone():
    if browsers.CHROMIUM is None or browsers.DRIVER is None:
        pytest.skip("no Chromium; apt-get install chromium chromium-driver to test the page in a browser")
    with browsers.Browser(width=360, height=740) as browser:
        yield browser


def shown(phone, selector):
    """Wait until something is there, and return its texts."""
    return phone.wait_for(lambda: phone.texts(selector), selector)


def becomes(phone, selector, expected):
    phone.wait_for(lambda: phone.texts(selector) == expected, f"{selector} to be {expected}")


def test_in_a_browser(phone, web):
    phone.open(web)
    assert shown(phone, "#next .title")[:2] == ["Reactor Nights", "Don't Wait"]
    assert phone.texts("#next-heading") == ["What most people like"]

    phone.type("#text", "the reac")
    becomes(phone, "#found .title", ["The Reactor"])
    phone.click("#found button")
    becomes(phone, "#liked button", ["The Reactor"])
    becomes(phone, "#next-heading", ["For you"])
    assert phone.texts("#next .title")[:2] == ["Reactor Nights", "2049: Égalité"]
    assert phone.texts("#found .title") == []

    phone.click("#next button", 1)
    becomes(phone, "#liked button", ["The Reactor", "2049: Égalité"])
    phone.wait_for(lambda: "2049: Égalité" not in phone.texts("#next .title"), "the list to follow")

    phone.open(web)  # likes outlive a visit
    becomes(phone, "#liked button", ["The Reactor", "2049: Égalité"])
    phone.click("#liked button")
    becomes(phone, "#liked button", ["2049: Égalité"])
    phone.click("#clear")
    becomes(phone, "#next-heading", ["What most people like"])
    assert phone.texts("#liked button") == []
    assert phone.complaints() == []


def test_a_title_is_text_whatever_it_holds(phone, web):
    phone.open(web)
    phone.type("#text", HOSTILE)
    becomes(phone, "#found .title", [HOSTILE])
    phone.click("#found button")
    becomes(phone, "#liked button", [HOSTILE])
    assert phone.run("return document.querySelectorAll('img, main script').length") == 0
    assert phone.complaints() == []


def test_it_fits_a_phone_and_a_thumb(phone, web):
    phone.open(web)
    shown(phone, "#next .title")
    phone.type("#text", "very long")
    shown(phone, "#found .title")
    phone.click("#found button")
    shown(phone, "#liked button")
    width, heights = phone.run(
        "return [document.documentElement.scrollWidth, [...document.querySelectorAll('button, input')]"
        ".filter((one) => one.offsetHeight).map((one) => one.offsetHeight)]"
    )
    assert width == 360
    assert min(heights) >= 44


def test_it_says_when_the_program_is_gone(phone, app, alone):
    command = [*alone, str(app / "web.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        phone.open(process.stdout.readline().split()[1])
        shown(phone, "#next .title")
        process.kill()
    phone.type("#text", "react")
    assert shown(phone, "#error") == ["The program behind this page does not answer. Is it running?"]
