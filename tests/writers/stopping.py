"""Run something again and again, and stop it just after each of its file operations in turn.

Usage: python stopping.py TEMPLATE WORK SIGNAL ARGUMENTS...

For each operation, the folder TEMPLATE is copied to WORK/N, and ``sparserec-np ARGUMENTS`` runs in the copy;
with ``-c`` as the first argument, the second is Python to run instead. If that was killed, the command runs
once more, with ``--force``, in a copy of what it left. A line of JSON tells how each of them ended.

SIGNAL is a number, or several with commas between them, which take turns. If the environment has ASK, it is
Python that runs at the end in each folder; what it prints comes along. With EVERY in it, a number n, the
operations that change no name in a folder (such as opening a file) are gone through in steps of n.
"""

from __future__ import annotations

import builtins
import io
import json
import os
import shutil
import sys
import traceback
from pathlib import Path
from typing import Any

OPERATIONS = (
    "open", "rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir", "truncate",
    "ftruncate", "chmod", "fchmod", "fchown", "fsync", "fdatasync",
)  # fmt: skip


NAMES_CHANGE = ("rename", "replace", "link", "symlink", "unlink", "remove", "mkdir", "rmdir")


class Watch:
    """Counts file operations within a folder, and sends this process a signal after one of them.

    Told to stop at -1, it writes the name of each operation instead.
    """

    def __init__(self, stop_at: int, signal: int, pipe: int) -> None:
        self._stop_at, self._signal, self._pipe = stop_at, signal, pipe
        self._count = 0
        for name in OPERATIONS:
            if hasattr(os, name):
                setattr(os, name, self._watched(name, getattr(os, name)))
        opens = self._watched("open", io.open)
        io.open = builtins.open = opens

    def _watched(self, name: str, function: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            result = function(*arguments, **keywords)
            if name != "open" or _writes(arguments, keywords):
                self._count += 1
                if self._stop_at == -1:
                    os.write(self._pipe, f"{name} ".encode())
                if self._count == self._stop_at:
                    os.write(self._pipe, json.dumps([name, str(arguments[:2])]).encode())
                    os.kill(os.getpid(), self._signal)
            return result

        return call


def _writes(arguments: tuple[Any, ...], keywords: dict[str, Any]) -> bool:
    """Whether a file is opened for writing, by `open` or by `os.open`, and by its name."""
    mode = arguments[1] if len(arguments) > 1 else keywords.get("mode", "r")
    if isinstance(arguments[0], int) or os.fspath(arguments[0]) == os.devnull:
        return False
    return bool(mode & (os.O_WRONLY | os.O_RDWR)) if isinstance(mode, int) else bool(set("wax+") & set(mode))


def _run(arguments: list[str], stop_at: int, signal: int, pipe: int) -> None:
    if arguments[0] == "-c":
        code = compile(arguments[1], "given", "exec")
        Watch(stop_at, signal, pipe)
        exec(code, {"__name__": "__main__"})
        sys.exit(0)
    from sparserec_np.cli import main

    Watch(stop_at, signal, pipe)
    main.main(arguments, prog_name="sparserec-np")


def _stopped(arguments: list[str], folder: Path, signal: int, stop_at: int) -> dict[str, Any]:
    reading, writing = os.pipe()
    output = os.open(folder.parent / f"{folder.name}.err", os.O_WRONLY | os.O_CREAT, 0o600)
    child = os.fork()
    if not child:
        code = 70
        try:
            os.chdir(folder)
            os.dup2(output, 1)
            os.dup2(output, 2)
            _run(arguments, stop_at, signal, writing)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.close(writing)
    os.close(output)
    with open(reading, "rb") as pipe:
        operation = pipe.read()
    _, status = os.waitpid(child, 0)
    return {
        "folder": str(folder),
        "operation": operation.decode() or None,
        "code": os.waitstatus_to_exitcode(status),
        "signal": signal,
        "answer": _answer(folder),
        "said": (folder.parent / f"{folder.name}.err").read_text(),
    }


def _answer(folder: Path) -> str | None:
    """What ASK prints in a folder, in a process that has NumPy, but nothing of ours in memory."""
    if "ASK" not in os.environ:
        return None
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.chdir(folder)
            os.dup2(writing, 1)
            os.dup2(writing, 2)
            for name in [name for name in sys.modules if name.partition(".")[0] == "sparserec_np"]:
                del sys.modules[name]
            exec(compile(os.environ["ASK"], "ASK", "exec"), {"__name__": "__main__"})
        except SystemExit:
            pass
        except BaseException:
            traceback.print_exc(file=sys.stdout)
        finally:
            sys.stdout.flush()
            os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said.strip()


def main() -> None:
    """Go through all operations, until none is left to stop at."""
    template, work, arguments = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[4:]
    signals = [int(number) for number in sys.argv[3].split(",")]
    import sparserec_np.cli.fit

    import sparserec_np.data  # noqa: F401

    step = int(os.environ.get("EVERY", "1"))
    shutil.copytree(template, work / "whole", symlinks=True)
    whole = _stopped(arguments, work / "whole", 0, -1)
    names = (whole["operation"] or "").split()
    places = [n for n, name in enumerate(names, 1) if name in NAMES_CHANGE or n % step == 0]
    # One more than there are: nothing is left to stop at.
    for stop_at in [*places, len(names) + 1]:
        signal = signals[stop_at % len(signals)]
        folder = work / str(stop_at)
        shutil.copytree(template, folder, symlinks=True)
        ended = _stopped(arguments, folder, signal, stop_at)
        if ended["code"] == -9 and arguments[0] != "-c":
            again = work / f"{stop_at}-again"
            shutil.copytree(folder, again, symlinks=True)
            ended["again"] = _stopped([*arguments, "--force"], again, signal, 0)
        print(json.dumps(ended), flush=True)


if __name__ == "__main__":
    main()
