"""A training on disk, so that one that was interrupted goes on where it was.

A checkpoint is a file in the container of a model file (`sparserec_np.runtime.format`): nothing of it is
code. Its tensors are the tables as they are, the optimizers' state, the accumulators of the probe rows,
where they are kept, the best tables so far, and where the training stands, as JSON. Its metadata are format
("srec-checkpoint"), format_version, what it is a checkpoint of (`fingerprint`), and a digest of all of it.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sparserec_np import __version__
from sparserec_np.data import Interactions
from sparserec_np.errors import ModelFormatError, SettingError, SparserecError, shown
from sparserec_np.models.estimator import Estimator
from sparserec_np.models.plain import settings_to_plain
from sparserec_np.runtime.contents import Contents
from sparserec_np.runtime.format import naming, parse_json, read_tensors, write_tensors

_FORMAT, _VERSION = "srec-checkpoint", "1"
# The tensor that is where the training stands.
_STATE = "state"
# Numbers that are converted, to be hashed, at a time.
_PART = 1 << 20

Tensors = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Saved:
    """What a checkpoint holds.

    Attributes
    ----------
    tensors : dict of str to ndarray
        Copies, which may be changed.
    state : dict
        Where the training stands, as it was given to `Checkpoint.write`.
    """

    tensors: Tensors
    state: dict[str, Any]


class Checkpoint:
    """Keeps a training in a file while it runs, for ``fit(interactions, checkpoint=...)``.

    The file is written after an epoch, whole or not at all, and in any case at the end of a training, so that
    a model whose saving fails is not lost. A training that goes on from it gives the same bits as one that
    was never interrupted, whatever the number of threads. It holds the tables, but neither ids nor
    interactions: to go on, the same data and settings are needed. A function, such as a loss of one's own, is
    known by its name alone. ``fit`` leaves the file; `remove` it once the model is saved.

    Parameters
    ----------
    path : path-like
        The file.
    every : float
        Seconds between two writes, at least; 0 for one after each epoch.
    resume : bool
        Whether to go on from the file if it exists. Otherwise it must not exist.
    tell : callable, optional
        Called with a text where a write fails in the middle of a training, which goes on; a warning by
        default.
    on_resume : callable, optional
        Called with the records of the epochs that were trained before.

    Examples
    --------
    >>> from sparserec_np import Checkpoint, SparseBPR
    >>> checkpoint = Checkpoint("films.checkpoint", every=300, resume=True)
    >>> model = SparseBPR().fit(interactions, checkpoint=checkpoint)  # doctest: +SKIP
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        every: float = 60.0,
        resume: bool = False,
        tell: Callable[[str], None] | None = None,
        on_resume: Callable[[list[dict[str, Any]]], None] | None = None,
    ) -> None:
        if not (isinstance(every, int | float) and 0 <= every < math.inf):
            raise SettingError(f"every is {every!r}; expected a number of seconds of at least 0")
        self.path = os.fspath(path)
        self.every = every
        self.resume = resume
        self._tell = _warn if tell is None else tell
        self.on_resume = on_resume
        self._fingerprint: dict[str, Any] = {}
        self._written = -math.inf

    def check(self) -> None:
        """Refuse before the training what could not be written in the middle of it.

        Raises
        ------
        SettingError
            If there is no folder to write to, or the file exists and is not to be gone on from.
        """
        folder = os.path.dirname(os.path.realpath(self.path))
        if not os.path.isdir(folder):
            raise SettingError(f"there is no folder {folder} to write the checkpoint to; make it first")
        if not os.access(folder, os.W_OK):
            raise SettingError(f"the folder {folder} is not writable; give another path for the checkpoint")
        if not os.path.lexists(self.path):
            return
        if not os.path.isfile(self.path):
            raise SettingError(f"{self.path} is not a regular file; give another path for the checkpoint")
        if not self.resume:
            raise SettingError(
                f"{self.path} exists already; resume from it (resume=True, --resume), remove it, or give "
                "another path for the checkpoint"
            )

    def begin(self, of: dict[str, Any]) -> Saved | None:
        """Start a training; `of` is its `fingerprint`. Returns what to go on from, if there is something.

        Raises
        ------
        SettingError
            For a checkpoint of other data or settings; the message names what differs.
        ModelFormatError
            For a file that is damaged, or is not a checkpoint.
        """
        self.check()
        self._fingerprint = of
        self._written = time.monotonic()
        if not os.path.exists(self.path):
            return None
        found, saved = _read(self.path)
        with understood(self.path):
            differences, history = _differences(found, of), list(saved.state["history"])
        if differences:
            raise SettingError(
                f"{self.path} is a checkpoint of another training: {'; '.join(differences)}; resume with the "
                "same data and settings, or give another path for the checkpoint"
            )
        if self.on_resume is not None:
            self.on_resume(history)
        return saved

    @property
    def is_due(self) -> bool:
        """Whether enough time has passed since the last write."""
        return time.monotonic() - self._written >= self.every

    def write(self, tensors: Tensors, state: dict[str, Any]) -> None:
        """Write where a training stands; a failure is told, and the training goes on."""
        # A tensor, for metadata are bounded and the records of many epochs are long.
        text = json.dumps(_writable(state), sort_keys=True, separators=(",", ":")).encode()
        tensors = tensors | {_STATE: np.frombuffer(text, np.uint8)}
        of = json.dumps(self._fingerprint, sort_keys=True, separators=(",", ":"))
        metadata = {
            "format": _FORMAT,
            "format_version": _VERSION,
            "of": of,
            "digest": _digest(tensors, of),
        }
        try:
            write_tensors(self.path, tensors, metadata)
        except (OSError, SparserecError, MemoryError) as error:
            reason = getattr(error, "strerror", None) or str(error) or "not enough memory"
            self._tell(f"the checkpoint {self.path} could not be written: {reason}; the training goes on")
        # After a failure, too: the next attempt is as far off.
        self._written = time.monotonic()

    def remove(self) -> None:
        """Remove the file, if it exists: the model is saved and the checkpoint has served."""
        if os.path.isfile(self.path):
            os.unlink(self.path)


def fingerprint(estimator: Estimator, data: Interactions) -> dict[str, Any]:
    """Describe a training in plain JSON, so that another one is told from it.

    Parameters
    ----------
    estimator : Estimator
        Its settings count, apart from those that no result depends on.
    data : Interactions
    """
    matrix = data.user_items
    return {
        "version": __version__,
        "estimator": type(estimator).__name__,
        "settings": settings_to_plain(estimator.get_params(deep=False)),
        "data": {
            "n_users": data.n_users,
            "n_items": data.n_items,
            "n_interactions": data.n_interactions,
        },
        "digests": {
            "pairs": _hashed(matrix.indptr, matrix.indices, kind=np.int64),
            "weights": _hashed(matrix.data, kind=np.float32),
            "user ids": _hashed(*data.users.tensors().values(), kind=np.int64),
            "item ids": _hashed(*data.items.tensors().values(), kind=np.int64),
        },
    }


@contextmanager
def understood(path: str) -> Iterator[None]:
    """Turn what a state that no version wrote leads to into a `ModelFormatError`."""
    try:
        with naming(path):
            yield
    except ModelFormatError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, OverflowError, AttributeError) as error:
        raise ModelFormatError(f"{path}: the state of the training is not understood: {error}") from None


def _hashed(*arrays: npt.NDArray[Any], kind: Any) -> str:
    """Hash the numbers of some arrays, whatever type holds them."""
    digest = hashlib.blake2b(digest_size=16)
    for array in arrays:
        digest.update(len(array).to_bytes(8, "little"))
        for start in range(0, len(array), _PART):
            digest.update(np.ascontiguousarray(array[start : start + _PART], dtype=kind).data)
    return digest.hexdigest()


def _digest(tensors: Tensors, of: str) -> str:
    digest = hashlib.blake2b(digest_size=16)
    digest.update(of.encode() + b"\0")
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name} {array.dtype.str} {array.shape}\0".encode())
        digest.update(array.reshape(-1).data)
    return digest.hexdigest()


def _differences(found: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Name what one training has otherwise than another."""
    told = [
        f"{what} is {found[name]} there and {here[name]} here"
        for name, what in (("version", "the version of sparserec_np"), ("estimator", "the estimator"))
        if found[name] != here[name]
    ]
    if told:
        return told
    for group in ("data", "settings"):
        for name in sorted(found[group].keys() | here[group].keys()):
            there, now = found[group].get(name), here[group].get(name)
            if there != now:
                told.append(f"{name} is {there!r} there and {now!r} here")
    digests = sorted(name for name in here["digests"] if found["digests"].get(name) != here["digests"][name])
    # Where there are more or fewer of them, that says it.
    if digests and found["data"] == here["data"]:
        told.append(f"the {' and the '.join(digests)} of the interactions differ")
    return told


def _read(path: str) -> tuple[dict[str, Any], Saved]:
    """Read a checkpoint: what it is of, and what it holds."""
    mapped, metadata = read_tensors(path)
    with naming(path):
        for name, expected in (("format", _FORMAT), ("format_version", _VERSION)):
            if metadata.get(name) != expected:
                raise ModelFormatError(
                    f"{name} is {shown(metadata.get(name))}; expected {expected!r}: the file is not a "
                    "checkpoint that this sparserec_np can go on from"
                )
        # Not views of the file, which is replaced while the training goes on.
        tensors = {name: np.array(array) for name, array in mapped.items()}
        contents = Contents({}, metadata)
        if contents.text("digest") != _digest(tensors, contents.text("of")) or _STATE not in tensors:
            raise ModelFormatError("the checkpoint is damaged; remove it and start the training anew")
        state = parse_json(tensors.pop(_STATE).tobytes(), _STATE)
        return contents.object("of"), Saved(tensors, _readable(state))


def _writable(value: Any) -> Any:
    """Replace infinities and NaN, which JSON does not have, in nested lists and dicts."""
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": repr(float(value))}
    if isinstance(value, dict):
        return {name: _writable(part) for name, part in value.items()}
    return [_writable(part) for part in value] if isinstance(value, list | tuple) else value


def _readable(value: Any) -> Any:
    """Undo what `_writable` did."""
    if isinstance(value, dict):
        if value.keys() == {"float"}:
            return float(value["float"])
        return {name: _readable(part) for name, part in value.items()}
    return [_readable(part) for part in value] if isinstance(value, list) else value


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=3)
