"""The app in an environment like that of Debian 12: Python, NumPy 1.24 and nothing else."""

import json
import subprocess
import sys
import urllib.request

import pytest


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    """The Python of a fresh environment."""
    if sys.version_info >= (3, 12):
        pytest.skip("NumPy 1.24 is for Python up to 3.11")
    folder = tmp_path_factory.mktemp("oldest")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    install = [
        python,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--retries=0",
        "--only-binary=:all:",
        "numpy==1.24.*",
    ]
    if subprocess.run(install, capture_output=True).returncode:
        pytest.skip("NumPy 1.24 cannot be installed here; are we offline?")
    return python


@pytest.mark.slow
def test_the_app_runs(app, python):
    command = [python, "-m", "pip", "list", "--format=json"]
    packages = {one["name"]: one["version"] for one in json.loads(subprocess.check_output(command))}
    assert packages.keys() <= {"numpy", "pip", "setuptools"}
    assert packages["numpy"].startswith("1.24.")

    example = subprocess.check_output([python, "example.py"], cwd=app, text=True)
    assert example.startswith("To those who like 8 23 3 we recommend\n")

    talk = subprocess.run(
        [python, "terminal.py"], cwd=app, input="the reactor\n1\n", capture_output=True, text=True
    )
    assert (talk.returncode, talk.stderr) == (0, "")
    assert "For you:\n  1   Reactor Nights (1985)" in talk.stdout

    serve = [python, "web.py", "--port", "0"]
    with subprocess.Popen(serve, cwd=app, stdout=subprocess.PIPE, text=True) as web:
        address = web.stdout.readline().split()[1]
        try:
            with urllib.request.urlopen(f"{address}api/recommend?liked=8&k=2", timeout=20) as response:
                assert [film["id"] for film in json.load(response)["films"]] == [3, 15]
        finally:
            web.terminate()
