"""Files that are written whole: what stays, what is cleaned up, and who may read them."""

import os
import stat
import subprocess
import sys

import numpy as np
import pytest

from sparserec_np.data import Interactions, make_interactions
from sparserec_np.errors import SettingError
from sparserec_np.runtime.files import written_whole

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs POSIX locks and links")

WRITE = """
import sys
from sparserec_np.runtime.files import temporary_folder, written_whole
with written_whole("file") as file, temporary_folder(".") as folder:
    open(folder + "/part", "w").close()
    print(flush=True)
    sys.stdin.read()
"""


def start(folder):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    return process


def write(path, content=b"new"):
    with written_whole(path) as file:
        file.write(content)


def test_what_a_killed_process_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path):
    running, killed = start(tmp_path), start(tmp_path)
    assert len(os.listdir(tmp_path)) == 4
    killed.kill()
    killed.communicate()
    write(tmp_path / "other")
    assert len(os.listdir(tmp_path)) == 3
    running.communicate(b"")
    assert running.returncode == 0
    assert sorted(os.listdir(tmp_path)) == ["file", "other"]


def test_what_only_looks_alike_stays(tmp_path):
    names = [".sparserec-0123.tmp", ".file.tmp", ".sparserec-0123456789abcdeg.tmp", "sparserec-notes.tmp"]
    for name in names:
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / ".sparserec-0123456789abcdef.tmp")
    (tmp_path / ".sparserec-0123456789abcde0.tmp").symlink_to(tmp_path / names[0])
    write(tmp_path / "file")
    assert {*names, "file", ".sparserec-0123456789abcde0.tmp"} <= set(os.listdir(tmp_path))


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o640, 0o444])
def test_a_file_that_is_replaced_passes_its_permissions_on(tmp_path, mode):
    write(tmp_path / "file", b"old")
    (tmp_path / "file").chmod(mode)
    write(tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == mode


def test_links_lead_to_what_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("folder/file")  # which does not exist yet
    for content in (b"first", b"second"):
        write(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "folder" / "file").read_bytes() == content
    (tmp_path / "data").symlink_to("folder/data")
    for seed in (0, 1):
        make_interactions(20, 20, 60, random_state=seed).to_dir(tmp_path / "data", replace=True)
        assert (tmp_path / "data").is_symlink()
    assert sorted(os.listdir(tmp_path / "folder")) == ["data", "file"]


def test_what_is_not_a_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path, tmp_path / "fifo", "/dev/null"):
        with pytest.raises(SettingError, match="is not a regular file"):
            write(path)


def test_a_folder_that_is_replaced_while_it_is_read(tmp_path):
    """Every reader gets all of one or all of the other."""
    given = [make_interactions(20 + 9 * n, 20, 60 + 40 * n, random_state=n) for n in range(2)]
    given[0].to_dir(tmp_path / "data")
    replacing = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys\nfrom sparserec_np.data import make_interactions\n"
            "given = [make_interactions(20 + 9 * n, 20, 60 + 40 * n, random_state=n) for n in range(2)]\n"
            "print(flush=True)\n"
            "for n in range(60):\n    given[(n + 1) % 2].to_dir(sys.argv[1], replace=True)\n",
            str(tmp_path / "data"),
        ],
        stdout=subprocess.PIPE,
    )
    replacing.stdout.readline()
    found = set()
    while replacing.poll() is None:
        read = Interactions.from_dir(tmp_path / "data")
        which = [one.n_users for one in given].index(read.n_users)
        np.testing.assert_array_equal(read.user_items.toarray(), given[which].user_items.toarray())
        found.add(which)
    assert replacing.returncode == 0
    assert found == {0, 1}
