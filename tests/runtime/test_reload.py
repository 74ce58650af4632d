"""A file that changes under a running reader: read whole, or replaced by another one while it serves."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading

import numpy as np
import pytest
from runtime_models import random_model

from sparserec_np import load
from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.runtime import Recommender, load_model, save_model
from sparserec_np.runtime.format import LARGE, is_mapped, read_tensors, write_tensors

# Opens a model, spoils its file in place, and asks for everything: pages of a mapped file would be gone.
SPOILT = """
import os, sys
from sparserec_np.runtime import Recommender

path, how, mmap = sys.argv[1:]
one = Recommender.load(path, mmap={"False": False, "auto": "auto"}[mmap])
if how == "truncate":
    os.truncate(path, 0)
elif how == "shorten":
    os.truncate(path, os.path.getsize(path) // 2)
else:
    with open(path, "r+b") as file:
        file.write(b"\\xff" * os.path.getsize(path))
for user in one.user_ids.ids():
    one.recommend(user, k=3)
    one.similar_users(user)
for item in one.item_ids.ids():
    one.recommend(history=[item], k=3)
    one.similar_items(item)
one.predict(one.user_ids.ids()[:3], one.item_ids.ids()[:3])
print(*one.recommend(one.user_ids[0], k=5).ids)
"""


@pytest.mark.parametrize("mmap", ["False", "auto"])
@pytest.mark.parametrize("how", ["truncate", "shorten", "overwrite"])
def test_a_file_that_was_read_may_be_spoilt_in_place(tmp_path, how, mmap):
    path = tmp_path / "m.srec"
    # Larger than a page, so that its end would be gone.
    save_model(path, random_model(n_users=60, n_items=400, ids="str"))
    one = Recommender.load(path)
    expected = [str(id) for id in one.recommend(one.user_ids[0], k=5).ids]
    done = subprocess.run(
        [sys.executable, "-c", SPOILT, path, how, mmap], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == " ".join(expected)


def test_reading_and_mapping_give_the_same(tmp_path):
    path = tmp_path / "m.srec"
    save_model(path, random_model(ids="int", biases=True))
    ways = [Recommender.load(path, mmap=mmap) for mmap in (True, False, "auto")]
    for user in ways[0].user_ids.ids().tolist():
        answers = [one.recommend(user, k=4) for one in ways]
        for answer in answers[1:]:
            np.testing.assert_array_equal(answer.ids, answers[0].ids)
            np.testing.assert_array_equal(answer.scores, answers[0].scores)


def test_a_file_that_is_read_is_checked(tmp_path):
    path = tmp_path / "m.srec"
    save_model(path, random_model())
    tensors, metadata = read_tensors(path, mmap=False)
    write_tensors(path, tensors | {"users.gaps": np.full_like(tensors["users.gaps"], 255)}, metadata)
    load_model(path)
    for mmap in (False, "auto"):
        with pytest.raises(ModelFormatError, match=r"m\.srec: "):
            load_model(path, mmap=mmap)
        with pytest.raises(ModelFormatError, match=r"m\.srec: "):
            load(path, mmap=mmap)


def test_large_files_are_mapped_by_default_of_the_apps():
    assert not is_mapped("auto", LARGE)
    assert is_mapped("auto", LARGE + 1)
    assert is_mapped(True, 8)
    assert not is_mapped(False, LARGE + 1)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes")
@pytest.mark.parametrize("mmap", [True, False])
def test_what_is_not_a_file_is_refused_at_once(tmp_path, mmap):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero", "/dev/null"):
        with pytest.raises(ModelFormatError, match="is not a regular file"):
            load_model(path, mmap=mmap)
    with pytest.raises(IsADirectoryError, match=str(tmp_path)):
        load_model(tmp_path, mmap=mmap)


@pytest.fixture
def path(tmp_path):
    save_model(tmp_path / "m.srec", random_model(1, ids="str"))
    return tmp_path / "m.srec"


@pytest.mark.parametrize("mmap", [True, False])
def test_reload_takes_the_newest_model_and_keeps_what_was_told(path, mmap):
    one = Recommender.load(path, mmap=mmap)
    items = one.item_ids.ids()
    one.update("somebody new", items[:3])
    one.update(one.user_ids[2], [items[29]], [2.0])
    save_model(path, random_model(2, ids="str", n_items=20, encoder="sum"))
    before = one.recommend(one.user_ids[4], k=5)
    one.reload()
    new = Recommender.load(path)
    assert len(one.item_ids) == 20
    assert one.data.encoder == "sum"
    np.testing.assert_array_equal(one.recommend(one.user_ids[4]).ids, new.recommend(one.user_ids[4]).ids)
    assert before.scores[0] != one.recommend(one.user_ids[4]).scores[0]
    new.update("somebody new", items[:3])
    assert one.recommend("somebody new").ids == new.recommend("somebody new").ids
    # The last item is no longer known.
    assert one.recommend(one.user_ids[2]).ids
    one.reload()
    assert one.recommend("somebody new").ids == new.recommend("somebody new").ids


def damaged(content):
    return content[:-40] + b"\xff" * 40


@pytest.mark.parametrize("spoil", [damaged, lambda content: content[:100], lambda content: b"", None])
def test_a_damaged_file_leaves_the_old_model_serving(path, spoil):
    one = Recommender.load(path, mmap=False)
    one.update("somebody new", one.item_ids.ids()[:3])
    before = [one.recommend(user, k=4).ids for user in [*one.user_ids.ids(), "somebody new"]]
    if spoil is None:
        path.unlink()
    else:
        path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises((ModelFormatError, FileNotFoundError), match=r"m\.srec"):
        one.reload()
    assert [one.recommend(user, k=4).ids for user in [*one.user_ids.ids(), "somebody new"]] == before
    save_model(path, random_model(2, ids="str"))
    one.reload()
    assert [one.recommend(user, k=4).ids for user in [*one.user_ids.ids(), "somebody new"]] != before


def test_a_model_that_does_not_take_what_was_told_is_refused(path):
    one = Recommender.load(path)
    one.update("somebody new", one.item_ids.ids()[:3])
    save_model(path, random_model(2, ids="int"))
    with pytest.raises(SettingError, match="does not take what update was told: user is 'somebody new'"):
        one.reload()
    assert one.recommend("somebody new").ids


def test_without_a_file_there_is_nothing_to_reload(path):
    with pytest.raises(SettingError, match="was not loaded from a file"):
        Recommender(random_model()).reload()
    one = pickle.loads(pickle.dumps(Recommender.load(path)))
    save_model(path, random_model(2, ids="str", n_items=20))
    one.reload()
    assert len(one.item_ids) == 20


def test_a_relative_path_is_that_of_the_folder_it_was_loaded_in(path, monkeypatch, tmp_path_factory):
    monkeypatch.chdir(path.parent)
    one = Recommender.load(path.name)
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    one.reload()
    assert len(one.item_ids) == 30


def test_answers_come_of_one_model_while_others_reload(path):
    """Items of the two models have different ids, and so have their users; nothing told is lost."""
    files = [path.with_name(f"{n}.srec") for n in range(2)]
    for n, file in enumerate(files):
        save_model(file, random_model(n, ids="str", n_items=30 - 12 * n, n_users=12, dim=8 + 8 * n))
    expected = []
    for file in files:
        one = Recommender.load(file, mmap=False)
        user = one.user_ids[3]
        expected.append(
            (one.recommend(user, k=6).ids, one.recommend(history=one.item_ids.ids()[:2], k=6).ids)
        )
    contents = [file.read_bytes() for file in files]
    one = Recommender.load(files[0], mmap=False)
    history, wrong, done = one.item_ids.ids()[:2], [], threading.Event()

    def ask():
        while not done.is_set():
            for found, which in (
                (one.recommend(user, k=6).ids, 0),
                (one.recommend(history=history, k=6).ids, 1),
            ):
                if found not in [answers[which] for answers in expected]:
                    wrong.append(found)
            one.similar_users(user)
            one.predict([user, user], history)

    def tell(number):
        for told in range(20):
            one.update(f"new {number} {told}", history)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    tellers = [threading.Thread(target=tell, args=(number,)) for number in range(3)]
    for thread in (*askers, *tellers):
        thread.start()
    for turn in range(30):
        new = files[0].with_name("new")
        new.write_bytes(contents[(turn + 1) % 2])
        os.replace(new, files[0])
        one.reload()
    for thread in tellers:
        thread.join()
    one.reload()
    done.set()
    for thread in askers:
        thread.join()
    assert not wrong
    assert len(one._people.news()) == 60
