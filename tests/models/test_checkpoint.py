"""A training that goes on from a checkpoint ends in the same bits as one that was never interrupted."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from scipy import sparse

from sparserec_np import Checkpoint, Interactions, SparseBPR, SparseGraph, SparseMF
from sparserec_np.data import make_interactions
from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.models import checkpoint as checkpoints
from sparserec_np.models import run as runs
from sparserec_np.models.run import Run
from sparserec_np.runtime.format import read_tensors, write_tensors

QUICK = {
    "dim": 8,
    "density": 0.25,
    "epochs": 4,
    "batch_size": 256,
    "negatives": 4,
    "random_state": 0,
    "n_jobs": 1,
}
# Explorations and probe rows that begin in one epoch and end in another.
ACROSS = {"update_every": 7, "prune_fraction": 0.3}
CASES = {
    "bpr": (SparseBPR, {}),
    "one negative, all kernels fused": (SparseBPR, {"negatives": 1, **ACROSS}),
    "adam": (SparseBPR, {"optimizer": "adam", "popularity_power": 0.5, **ACROSS}),
    "kept tables": (SparseBPR, {"refit": False, "learning_rate": 0.4, "early_stopping": 2, "epochs": 8}),
    "no hold-out": (SparseBPR, {"early_stopping": 0, "optimizer": "sgd", **ACROSS}),
    "last batch": (SparseBPR, {"grow_by": "last_batch", "mask_init": "random", **ACROSS}),
    "chosen width": (SparseBPR, {"width": None, "dim": 4}),
    "graph": (SparseGraph, {"early_stopping": 2, "history_dropout": 0.3, "teacher": "ease", **ACROSS}),
    "graph without refit": (SparseGraph, {"refit": False, "teacher": "none"}),
    "logistic": (SparseMF, {"loss": "logistic", "teacher": SparseBPR(dim=4, epochs=1)}),
    "ratings": (SparseMF, {"loss": "squared", **ACROSS}),
}


class Stopped(BaseException):
    """Stops a fit."""


def stop_after(n):
    """A callback that stops a fit in its nth epoch, and the records that it saw."""
    seen = []

    def callback(record):
        seen.append(record)
        if len(seen) == n:
            raise Stopped

    return callback


@pytest.fixture(scope="module")
def data():
    return make_interactions(120, 80, 2400, ratings=True, n_tastes=4, random_state=0)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "training.checkpoint"


def model_file(model, folder, name="model.srec"):
    model.save(folder / name)
    return (folder / name).read_bytes()


def without_seconds(history):
    return [{name: value for name, value in record.items() if name != "seconds"} for record in history]


# ---- the same bits -------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_stopped_after_any_epoch_it_ends_in_the_same_bits(case, data, path, tmp_path):
    estimator, settings = CASES[case]
    settings = QUICK | settings
    whole = estimator(**settings).fit(data)
    expected = model_file(whole, tmp_path)
    n_epochs = len(whole.history_)
    assert n_epochs >= 3
    for n in range(1, n_epochs + 1):
        model = estimator(**settings)
        with pytest.raises(Stopped):
            model.fit(data, stop_after(n), checkpoint=Checkpoint(path, every=0))
        assert path.exists()
        seen, told = [], []
        again = Checkpoint(path, every=0, resume=True, on_resume=told.extend)
        # Another number of threads, which must not matter.
        model.set_params(n_jobs=1 + n % 3).fit(data, seen.append, checkpoint=again)
        assert model_file(model, tmp_path) == expected
        assert without_seconds(model.history_) == without_seconds(whole.history_)
        assert [record["epoch"] for record in told + seen] == [r["epoch"] for r in whole.history_]
        assert len(told) == n
        assert model.n_epochs_ == whole.n_epochs_
        assert model.baseline_ == whole.baseline_
        again.remove()
        assert not path.exists()


def test_stopped_again_and_again(data, path, tmp_path):
    settings = QUICK | {"early_stopping": 2, **ACROSS}
    expected = model_file(SparseGraph(**settings).fit(data), tmp_path)
    stops = 0
    while stops < 30:
        try:
            model = SparseGraph(**settings).fit(
                data, stop_after(1), checkpoint=Checkpoint(path, every=0, resume=True)
            )
            break
        except Stopped:
            stops += 1
    assert stops >= 4
    assert model_file(model, tmp_path) == expected


def test_in_between_two_writes_the_last_one_counts(data, path, tmp_path, monkeypatch):
    """With seconds in between, what came after the last write is trained again."""
    settings = QUICK | {"epochs": 6, "early_stopping": 0}
    expected = model_file(SparseBPR(**settings).fit(data), tmp_path)
    clock = iter(range(0, 10**6, 10))
    monkeypatch.setattr(checkpoints.time, "monotonic", lambda: next(clock))
    written = []
    write = Checkpoint.write
    monkeypatch.setattr(
        Checkpoint,
        "write",
        lambda self, tensors, state: (
            written.append(state["standing"]["epoch"]),
            write(self, tensors, state),
        ),
    )
    with pytest.raises(Stopped):
        SparseBPR(**settings).fit(data, stop_after(5), checkpoint=Checkpoint(path, every=25))
    assert written == [3]
    seen = []
    model = SparseBPR(**settings).fit(data, seen.append, checkpoint=Checkpoint(path, every=1e9, resume=True))
    assert [record["epoch"] for record in seen] == [4, 5, 6]
    assert written == [3, 6]
    assert model_file(model, tmp_path) == expected


@pytest.mark.parametrize("attempt", [1, 2])
def test_smaller_steps_go_on_being_tried(attempt, data, path, tmp_path, monkeypatch):
    """Stopped in the first training, or in one with smaller steps, from a start of a chosen width."""
    train = Run._train_once

    def no_epoch_helps(self, *rest):
        outcome = train(self, *rest)
        outcome.epoch = 0
        return outcome

    monkeypatch.setattr(Run, "_train_once", no_epoch_helps)
    settings = QUICK | {"refit": False, "learning_rate": 0.4, "width": None, "epochs": 3}
    whole = SparseBPR(**settings).fit(data)
    assert whole.learning_rate_ == 0.025
    expected = model_file(whole, tmp_path)
    with pytest.raises(Stopped):
        SparseBPR(**settings).fit(data, stop_after(3 * attempt - 1), checkpoint=Checkpoint(path, every=0))
    model = SparseBPR(**settings).fit(data, checkpoint=Checkpoint(path, every=0, resume=True))
    assert model.learning_rate_ == 0.025
    assert len(model.history_) == len(whole.history_) == 9
    assert model_file(model, tmp_path) == expected


def test_a_start_that_no_epoch_improves_on(data, path, tmp_path, monkeypatch):
    falling = iter(range(0, -(10**6), -1))
    monkeypatch.setattr(SparseBPR, "_validate", lambda *_: {"goodness": float(next(falling))})
    monkeypatch.setattr(runs, "_BACKOFFS", 0)
    settings = QUICK | {"early_stopping": 2, "epochs": 8}
    whole = SparseBPR(**settings).fit(data)
    assert whole.n_epochs_ == 0
    assert len(whole.history_) == 3
    with pytest.raises(Stopped):
        SparseBPR(**settings).fit(data, stop_after(1), checkpoint=Checkpoint(path, every=0))
    seen = []
    again = Checkpoint(path, every=0, resume=True)
    model = SparseBPR(**settings).fit(data, seen.append, checkpoint=again)
    assert [record["epoch"] for record in seen] == [2, 3]
    assert model.n_epochs_ == 0
    for name in ("users_", "items_"):
        assert getattr(model, name).data.tobytes() == getattr(whole, name).data.tobytes()


@pytest.mark.parametrize("seed", [None, "generator"])
def test_the_seed_is_that_of_the_training_that_was_interrupted(seed, data, path, tmp_path):
    def model():
        return SparseBPR(
            **QUICK | {"random_state": np.random.default_rng(7) if seed == "generator" else None}
        )

    stopped = model()
    with pytest.raises(Stopped):
        stopped.fit(data, stop_after(2), checkpoint=Checkpoint(path, every=0))
    kept = path.read_bytes()
    one = model().fit(data, checkpoint=Checkpoint(path, every=0, resume=True))
    path.write_bytes(kept)
    two = stopped.fit(data, checkpoint=Checkpoint(path, every=0, resume=True))
    assert model_file(one, tmp_path) == model_file(two, tmp_path)
    if seed == "generator":
        assert model_file(one, tmp_path) == model_file(model().fit(data), tmp_path)


def test_a_training_that_has_ended_is_kept_to_the_end(data, path, tmp_path):
    """Also where seconds lie between two writes: the end is written in any case."""
    for estimator, settings in CASES.values():
        model = estimator(**QUICK | settings)
        model.fit(data, checkpoint=Checkpoint(path, every=1e6))
        expected = model_file(model, tmp_path)
        again = estimator(**QUICK | settings)
        again.fit(data, stop_after(1), checkpoint=Checkpoint(path, resume=True))  # no epoch is left to run
        assert model_file(again, tmp_path) == expected
        path.unlink()


PROGRAM = """
import sys
from sparserec_np import Checkpoint, SparseBPR, SparseGraph, SparseMF
from sparserec_np.data import make_interactions
import time
kind, path, out, jobs = sys.argv[1:]
estimator, settings = {
    "bpr": (SparseBPR, {"update_every": 7}),
    "graph": (SparseGraph, {"early_stopping": 3, "teacher": "ease"}),
    "ratings": (SparseMF, {"loss": "squared"}),
}[kind]
data = make_interactions(120, 80, 2400, ratings=True, n_tastes=4, random_state=0)
settings |= {"dim": 8, "density": 0.25, "epochs": 8, "batch_size": 256, "negatives": 4, "random_state": 0}
model = estimator(n_jobs=int(jobs), **settings)

def slowly(record):
    print(record["epoch"], flush=True)
    time.sleep(0.05)

model.fit(data, slowly, checkpoint=Checkpoint(path, every=0, resume=True))
model.save(out)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs kill -9")
@pytest.mark.parametrize("kind", ["bpr", "graph", "ratings"])
def test_a_killed_process_goes_on_in_another_one(kind, path, tmp_path):
    def start(where, out, jobs):
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, kind, where, out, str(jobs)], stdout=subprocess.PIPE, text=True
        )

    whole = start(tmp_path / "whole.checkpoint", tmp_path / "whole.srec", 1)
    n_epochs = len(whole.communicate()[0].splitlines())
    rng = np.random.default_rng(0)
    n_killed = 0
    for jobs in (1, 2, 3, 1, 2):
        process = start(path, tmp_path / "model.srec", jobs)
        for _ in range(2 + n_killed % 2):
            process.stdout.readline()
        time.sleep(float(rng.uniform(0, 0.06)))
        process.kill()
        process.communicate()
        n_killed += process.returncode == -signal.SIGKILL
    assert n_killed >= 3
    last = start(path, tmp_path / "model.srec", 2)
    n_left = len(last.communicate()[0].splitlines())
    assert last.returncode == 0
    assert n_left < n_epochs
    assert (tmp_path / "model.srec").read_bytes() == (tmp_path / "whole.srec").read_bytes()


# ---- what is refused -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def written(data, tmp_path_factory):
    """A checkpoint, as bytes."""
    path = tmp_path_factory.mktemp("written") / "training.checkpoint"
    with pytest.raises(Stopped):
        SparseBPR(**QUICK | ACROSS).fit(data, stop_after(2), checkpoint=Checkpoint(path, every=0))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"dim": 12}, "dim is 8 there and 12 here"),
        ({"random_state": 1}, "random_state is 0 there and 1 here"),
        ({"teacher": "ease"}, "teacher is None there and 'ease' here"),
        ({"epochs": 5, "optimizer": "adam"}, "epochs is 4 there and 5 here; optimizer is 'adagrad' there"),
    ],
)
def test_a_checkpoint_of_other_settings_is_refused_by_what_differs(changed, message, data, path, written):
    path.write_bytes(written)
    with pytest.raises(SettingError, match=f"is a checkpoint of another training: {message}"):
        SparseBPR(**QUICK | ACROSS | changed).fit(data, checkpoint=Checkpoint(path, resume=True))
    assert path.read_bytes() == written


def test_a_checkpoint_of_another_estimator_is_refused(data, path, written):
    path.write_bytes(written)
    with pytest.raises(SettingError, match="the estimator is SparseBPR there and SparseMF here"):
        SparseMF(**QUICK | ACROSS).fit(data, checkpoint=Checkpoint(path, resume=True))


def test_a_checkpoint_of_another_version_is_refused(data, path, written, monkeypatch):
    path.write_bytes(written)
    monkeypatch.setattr(checkpoints, "__version__", "9.9")
    with pytest.raises(SettingError, match=r"the version of sparserec_np is .* there and 9\.9 here"):
        SparseBPR(**QUICK | ACROSS).fit(data, checkpoint=Checkpoint(path, resume=True))


def fewer(data):
    return make_interactions(90, 80, 2000, random_state=0)


def other_weights(data):
    matrix = data.user_items.copy()
    matrix.data[5] += 1
    return Interactions.from_matrix(matrix)


def another_pair(data):
    matrix = data.user_items.tolil()
    row = int(np.flatnonzero(np.diff(data.user_items.indptr) < data.n_items)[0])
    free = np.setdiff1d(np.arange(data.n_items), data.user_items[[row]].indices)[0]
    taken = data.user_items[[row]].indices[0]
    matrix[row, free] = matrix[row, taken]
    matrix[row, taken] = 0
    return Interactions.from_matrix(sparse.csr_array(matrix))


def other_ids(data):
    return Interactions.from_matrix(data.user_items, user_ids=range(1, data.n_users + 1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: make_interactions(90, 80, 2000, random_state=0),
            "n_interactions is .*; n_users is 120",
        ),
        (other_weights, "the weights of the interactions differ"),
        (another_pair, "the pairs and the weights of the interactions differ|the pairs of the"),
        (other_ids, "the user ids of the interactions differ"),
    ],
)
def test_a_checkpoint_of_other_data_is_refused_by_what_differs(change, message, data, path, written):
    path.write_bytes(written)
    with pytest.raises(SettingError, match=f"is a checkpoint of another training: ({message})"):
        SparseBPR(**QUICK | ACROSS).fit(change(data), checkpoint=Checkpoint(path, resume=True))


def test_what_no_result_depends_on_may_change(data, path, written, tmp_path):
    expected = model_file(SparseBPR(**QUICK | ACROSS).fit(data), tmp_path)
    data.to_dir(tmp_path / "folder")
    for changed, given in (
        ({"n_jobs": 2}, data),
        ({"verbose": True}, data),
        ({}, Interactions.from_dir(tmp_path / "folder")),
        ({}, data.user_items.astype(np.float64)),
    ):
        path.write_bytes(written)
        model = SparseBPR(**QUICK | ACROSS | changed).fit(given, checkpoint=Checkpoint(path, resume=True))
        assert model_file(model, tmp_path) == expected


def test_a_file_that_is_there_is_not_replaced_unasked(data, path, written):
    for content in (written, b"something else"):
        path.write_bytes(content)
        with pytest.raises(SettingError, match="exists already; resume from it"):
            SparseBPR(**QUICK | ACROSS).fit(data, checkpoint=Checkpoint(path))
        assert path.read_bytes() == content


@pytest.mark.parametrize("every", [-1, float("nan"), float("inf"), "often", None])
def test_every_is_a_number_of_seconds(every, path):
    with pytest.raises(SettingError, match=r"every is .*; expected a number of seconds of at least 0"):
        Checkpoint(path, every=every)


def test_where_nothing_can_be_written_is_said_before_the_training(data, tmp_path):
    with pytest.raises(SettingError, match=r"there is no folder .*missing to write the checkpoint to"):
        SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(tmp_path / "missing" / "c"))
    with pytest.raises(SettingError, match="is not a regular file"):
        SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(tmp_path, resume=True))


def test_a_damaged_checkpoint_is_refused(data, path, written):
    rng = np.random.default_rng(0)
    for _ in range(60):
        damaged = bytearray(written)
        at = int(rng.integers(len(damaged)))
        if rng.random() < 0.3:
            damaged = damaged[:at]
        else:
            damaged[at] ^= 1 << int(rng.integers(8))
        path.write_bytes(bytes(damaged))
        with pytest.raises(ModelFormatError, match=r"training\.checkpoint: "):
            SparseBPR(**QUICK | ACROSS).fit(data, checkpoint=Checkpoint(path, resume=True))


def forged(written, path, change):
    """Change what a checkpoint holds, with a digest that fits."""
    path.write_bytes(written)
    mapped, metadata = read_tensors(path)
    tensors = {name: np.array(array) for name, array in mapped.items()}
    state = json.loads(tensors["state"].tobytes())
    change(tensors, state)
    tensors["state"] = np.frombuffer(json.dumps(state).encode(), np.uint8)
    metadata["digest"] = checkpoints._digest(tensors, metadata["of"])
    write_tensors(path, tensors, metadata)


def with_best_users_alone(tensors, state):
    for part in ("indptr", "indices", "data"):
        tensors[f"best.users.{part}"] = tensors[f"users.{part}"]
        tensors.pop(f"best.items.{part}", None)


FORGERIES = {
    "a column beyond the table": lambda tensors, state: tensors["items.indices"].__setitem__(0, 60_000),
    "a row that ends nowhere": lambda tensors, state: tensors["items.indptr"].__setitem__(3, 10**6),
    "too few values": lambda tensors, state: tensors.update({"items.data": tensors["items.data"][:-1]}),
    "integers for values": lambda tensors, state: tensors.update(
        {"items.data": tensors["items.data"].astype(np.int32)}
    ),
    "rows that are not there": lambda tensors, state: tensors.update(
        {"users.probes": tensors["users.probes"] + 10**6}
    ),
    "sums of another shape": lambda tensors, state: tensors.update(
        {"items.accumulators": np.zeros((1, 2), np.float32)}
    ),
    "no optimizer": lambda tensors, state: tensors.pop("items.optimizer.squares"),
    "no table": lambda tensors, state: tensors.pop("items.data"),
    "no user table": lambda tensors, state: [
        tensors.pop(name) for name in [*tensors] if name.startswith("users.")
    ],
    "best users without items": with_best_users_alone,
    "no standing": lambda tensors, state: state.pop("standing"),
    "a step in words": lambda tensors, state: state["trainer"].update(rng=["a", "b", "c", "d"]),
    "a list for a dict": lambda tensors, state: state.update(trainer=[]),
    "a seed below 0": lambda tensors, state: state.update(seed="-4"),
    "a width beyond all": lambda tensors, state: state["settings"].update(width=10**9),
    "a width in words": lambda tensors, state: state["settings"].update(width="wide"),
}


@pytest.mark.parametrize("of", ["{}", '{"settings": 5}', '{"version": {}}'])
@pytest.mark.parametrize("state", ["[]", "{}", "5", '{"history": 5}'])
def test_a_checkpoint_that_no_version_wrote_is_refused(of, state, data, path):
    tensors = {"state": np.frombuffer(state.encode(), np.uint8)}
    digest = checkpoints._digest(tensors, of)
    metadata = {"format": "srec-checkpoint", "format_version": "1", "of": of, "digest": digest}
    write_tensors(path, tensors, metadata)
    with pytest.raises((ModelFormatError, SettingError), match=r"training\.checkpoint"):
        SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(path, resume=True))


@pytest.mark.parametrize("forgery", FORGERIES)
def test_what_a_checkpoint_says_is_checked_before_a_kernel_sees_it(forgery, data, path, written):
    forged(written, path, FORGERIES[forgery])
    with pytest.raises(ModelFormatError, match=r"training\.checkpoint: "):
        SparseBPR(**QUICK | ACROSS).fit(data, checkpoint=Checkpoint(path, resume=True))


def test_a_model_file_is_not_a_checkpoint(data, path):
    SparseBPR(**QUICK).fit(data).save(path)
    with pytest.raises(ModelFormatError, match="format is 'srec'; expected 'srec-checkpoint'"):
        SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(path, resume=True))


# ---- writing -------------------------------------------------------------------------------------------


def test_a_write_that_fails_does_not_stop_the_training(data, path, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    expected = model_file(SparseBPR(**QUICK).fit(data), tmp_path)
    monkeypatch.setattr(checkpoints, "write_tensors", full)
    with pytest.warns(RuntimeWarning, match="could not be written: No space left on device; the training"):
        model = SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(path, every=0))
    assert model_file(model, tmp_path) == expected
    told = []
    SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(path, every=0, tell=told.append))
    assert len(told) == len(model.history_)
    assert not path.exists()


@pytest.mark.parametrize("error", [MemoryError(), SettingError("the path is not a regular file")])
def test_whatever_fails_in_a_write_does_not_stop_the_training(error, data, path, monkeypatch):
    def fail(*_):
        raise error

    monkeypatch.setattr(checkpoints, "write_tensors", fail)
    with pytest.warns(RuntimeWarning, match="could not be written: (not enough memory|the path is not)"):
        SparseBPR(**QUICK).fit(data, checkpoint=Checkpoint(path, every=0))


def test_the_records_of_many_epochs_have_room(data, path):
    of = checkpoints.fingerprint(SparseBPR(), data)
    checkpoint = Checkpoint(path, every=0)
    assert checkpoint.begin(of) is None
    history = [{"epoch": n, "loss": float("inf"), "text": "x" * 1000} for n in range(20_000)]
    checkpoint.write({}, {"history": history})
    saved = Checkpoint(path, resume=True).begin(of)
    assert saved.state["history"] == history


def test_a_failed_resume_leaves_the_estimator_as_it_was(data, path, written):
    path.write_bytes(written)
    model = SparseBPR(**QUICK | ACROSS | {"dim": 12})
    before = dict(vars(model))
    with pytest.raises(SettingError):
        model.fit(data, checkpoint=Checkpoint(path, resume=True))
    assert vars(model) == before


def test_the_file_is_a_container_without_code(path, written):
    from safetensors.numpy import load_file

    path.write_bytes(written)
    tensors = load_file(path)
    assert {"users.data", "items.data", "items.optimizer.squares", "items.accumulators"} <= set(tensors)
    assert b"user_ids" not in written
    assert os.listdir(path.parent) == [path.name]
