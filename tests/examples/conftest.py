"""A small film app with made-up titles, put together as `make.py` does."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy_only import numpy_only

from sparserec_np.runtime import IdMap, ModelData, TableData, save_model

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2] / "examples" / "films")]


@pytest.fixture(scope="session")
def model(tmp_path_factory):
    """Two tastes, a column each."""
    from made_up import LOVE, SPACE

    path = tmp_path_factory.mktemp("model") / "films.srec"
    strengths = np.array([3, 2, 1, 1, 2, 3], np.float32)
    columns = np.array([0, 0, 0, 1, 1, 1], np.uint8)
    save_model(
        path,
        ModelData(
            items=TableData(np.arange(7), columns, strengths, dim=2),
            item_ids=IdMap.from_ids([*SPACE, *LOVE]),
            user_ids=IdMap.range(0, entity="user"),
            popularity=np.array([9, 20, 3, 4, 10, 6], np.uint16),
        ),
    )
    return path


@pytest.fixture(scope="session")
def app(model, tmp_path_factory):
    """Folder with the app."""
    from made_up import TITLES
    from make import assemble

    folder = tmp_path_factory.mktemp("app") / "films"
    assemble(model, [*TITLES, ("99", "Nobody Knows", "2000", "Drama")], folder)
    return folder


@pytest.fixture(scope="session")
def films(app):
    from films import Films

    return Films.load(app)


@pytest.fixture(scope="session")
def alone(tmp_path_factory):
    """Start of a command that runs a program with NumPy and nothing else."""
    return numpy_only(tmp_path_factory.mktemp("numpy-only"))


@pytest.fixture(scope="session")
def web(app, alone):
    """Address of the running web page."""
    command = [*alone, str(app / "web.py"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        yield process.stdout.readline().split()[1]
        process.terminate()
