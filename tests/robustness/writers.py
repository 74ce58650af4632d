"""Everything that writes a file or a folder, run in forked processes that are stopped at any moment."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from cases import Fault
from model_files import small_interactions

from sparserec_np import Interactions, Recommender, SparseBPR, SparseGraph

#: Exit codes of the command line by the signal that stopped it; it may as well be done before.
_ENDS = {signal.SIGKILL: (-9, 0), signal.SIGINT: (130, 0), signal.SIGTERM: (143, 0), signal.SIGHUP: (129, 0)}


_ASK_BUNDLE = """\
import sys
sys.path.insert(0, sys.argv[1])
import sparserec_np.errors
from sparserec_np.runtime import Recommender
assert sparserec_np.errors.__file__.startswith(sys.argv[1]), sparserec_np.errors.__file__
one = Recommender.load(sys.argv[1] + "/model.srec", verify=True)
print(one.recommend(history=[5, 1005], k=4), "# older" in open(sparserec_np.errors.__file__).read())
"""


class Writer:
    """Something that writes, over and over, the same thing in the place of something old.

    Parameters
    ----------
    folder : Path
        An empty folder of its own; what is written goes to ``place`` in it.
    """

    #: The name of what is written, in a folder in which nothing else is.
    target = "out"
    #: Whether it is a command, which says by its exit code what stopped it.
    is_command = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = folder / "place"
        self.sources = folder / "sources"
        self.sources.mkdir()
        self.path = self.place / self.target
        self.prepare()
        self._old = folder / "old"
        self._old.mkdir()
        self.make_old(self._old / self.target)
        self.restore()
        self.write()
        self.answers = {"old": self.answer(self._old / self.target), "new": self.answer(self.path)}
        self.trees = {"old": tree(self._old), "new": tree(self.place)}
        if self.trees["old"] == self.trees["new"] or self.answers["old"] == self.answers["new"]:
            raise Fault("old and new do not differ")

    def prepare(self):
        """Make what the writer reads."""

    def make_old(self, path):
        """Write what is there before."""
        raise NotImplementedError

    def write(self):
        """Write the new in the place of the old."""
        raise NotImplementedError

    def answer(self, path):
        """Open what was written, and ask it something."""
        raise NotImplementedError

    def restore(self):
        """Put the old in its place again."""
        shutil.rmtree(self.place, ignore_errors=True)
        shutil.copytree(self._old, self.place)

    def check(self, number, code, said):
        """Check what a process left that was stopped by a signal, or ended; return "old" or "new"."""
        # A signal ends a command that has not begun yet as it ends any program; shells show the same code.
        may_die = not self.is_command or not said
        ends = (-number, *_ENDS[number]) if may_die else _ENDS[number]
        if code not in ends or "Traceback" in said:
            raise Fault(f"exit code {code}; expected one of {ends}: {said[-2000:]}")
        if not self.path.exists():
            raise Fault(f"{self.target} is gone; left are {sorted(os.listdir(self.place))}: {said[-1000:]}")
        # While a folder has hidden parts, these may be the new ones already: it is for readers to look there.
        found = tree(self.place)
        answer = self.answer(self.path)
        state = next((state for state, expected in self.answers.items() if answer == expected), None)
        if state is None:
            raise Fault(f"neither the old nor the new answer: {answer}; {sorted(os.listdir(self.place))}")
        if not any(_is_hidden(name) for name in found) and found != self.trees[state]:
            raise Fault(f"it answers as the {state} one, but differs: {_difference(found, self.trees)}")
        if code == 0 and state == "old":
            raise Fault(f"it ended well, and wrote nothing: {said[-1000:]}")
        if number != signal.SIGKILL and (self.is_command or number == signal.SIGINT):
            self.check_left("after a signal that can be handled")
        return state

    def check_next_write(self):
        """Check that the next write is whole, and cleans what a kill may have left."""
        code, said = in_child(self.write)
        if code != 0:
            raise Fault(f"the next write ended with {code}: {said[-2000:]}")
        if tree(self.place) != self.trees["new"]:
            self.check_left("after the next write")
            raise Fault(f"the next write is not whole: {_difference(tree(self.place), self.trees)}")

    def check_left(self, when):
        """Check that nothing is beside what is written, nor in it."""
        allowed = self.trees["old"].keys() | self.trees["new"].keys()
        left = tree(self.place).keys() - allowed
        if left:
            raise Fault(f"left {when}: {sorted(left)[:5]}")


class Fit(Writer):
    """``fit -o``."""

    target = "out.srec"

    def prepare(self):
        self.data = self.sources / "data.interactions"
        small_interactions("int").to_dir(self.data)

    def make_old(self, path):
        run_command("fit", self.data, "-o", path, "--epochs", 1, "--dim", 8, "--seed", 1, "--jobs", 1)

    def write(self):
        run_command(
            "fit", self.data, "-o", self.path, "--force", "--epochs", 1, "--dim", 8, "--seed", 2, "--jobs", 1
        )

    def answer(self, path):
        ids, scores = Recommender.load(path, verify=True).recommend(history=[5, 1005], k=4)
        return ids.tolist(), scores.tolist()


class Export(Fit):
    """``export``."""

    def prepare(self):
        super().prepare()
        self.model = self.sources / "m.srec"
        super().make_old(self.model)

    def make_old(self, path):
        shutil.copyfile(self.model, path)

    def write(self):
        run_command("export", self.model, "-o", self.path, "--force", "--precision", "int8", "--no-seen")


class Bundle(Export):
    """``bundle``."""

    target = "out"

    def make_old(self, path):
        other = self.sources / "other.srec"
        small = SparseGraph(dim=8, epochs=1, random_state=5).fit(small_interactions("int", seed=3))
        small.save(other)
        run_command("bundle", other, "-o", path)
        # A bundle of an older version: parts of the two together might not fit.
        with open(path / "sparserec_np" / "errors.py", "a") as file:
            file.write("# older\n")

    def write(self):
        run_command("bundle", self.model, "-o", self.path, "--force")

    def answer(self, path):
        """Ask the bundle's own package, in a process that knows no other."""
        # Bytecode would be a further file; the site's paths may lead to the package of the library.
        done = subprocess.run(
            [sys.executable, "-B", "-c", _ASK_BUNDLE, str(path)], capture_output=True, text=True, cwd=path
        )
        if done.returncode:
            raise Fault(f"the bundle does not answer: {done.stderr[-1500:]}")
        return done.stdout


class Convert(Writer):
    """``convert``."""

    target = "out.interactions"

    def prepare(self):
        self.data = self.sources / "data.csv"
        self.data.write_text("".join(f"u{n % 9},i{n % 7},{n % 5 + 1},{n}\n" for n in range(60)))

    def make_old(self, path):
        small_interactions("str").to_dir(path)

    def write(self):
        run_command("convert", self.data, "-o", self.path, "--force")

    def answer(self, path):
        opened = Interactions.from_dir(path)
        return opened.user_items.toarray().tolist(), opened.users.ids()


class ToDir(Convert):
    """``Interactions.to_dir``."""

    is_command = False

    def prepare(self):
        super().prepare()
        self.interactions = Interactions.from_csv(self.data)

    def write(self):
        self.interactions.to_dir(self.path, replace=True)


class RecommendAll(Export):
    """``recommend --all -o``."""

    target = "out.csv"

    def make_old(self, path):
        run_command("recommend", self.model, "--all", "-k", 2, "-o", path, "--jobs", 1)

    def write(self):
        run_command("recommend", self.model, "--all", "-k", 3, "-o", self.path, "--force", "--jobs", 1)

    def answer(self, path):
        return path.read_text().count("\n")


class SaveState(Export):
    """``Recommender.save_state``."""

    target = "out.state"
    is_command = False

    def make_old(self, path):
        self._told(1).save_state(path)

    def write(self):
        self._told(2).save_state(self.path)

    def answer(self, path):
        one = Recommender.load(self.model)
        one.load_state(path)
        return one.recommend(999, k=5).scores.tolist()

    def _told(self, n):
        one = Recommender.load(self.model)
        one.update(999, one.item_ids.ids()[:n])
        return one


class Save(Fit):
    """``save`` of an estimator."""

    is_command = False

    def prepare(self):
        super().prepare()
        self.one, self.other = (
            SparseBPR(dim=8, epochs=1, random_state=seed).fit(small_interactions("int")) for seed in (0, 1)
        )

    def make_old(self, path):
        self.other.save(path)

    def write(self):
        self.one.save(self.path)


WRITERS = [Fit, Export, Bundle, Convert, ToDir, RecommendAll, SaveState, Save]


def tree(folder):
    """Everything in a folder: the content of files by their paths, None for folders that are empty."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = None
    return found


def run_command(*arguments):
    """Run the command line in this process; an end that is not well ends the process."""
    from sparserec_np.cli import main

    try:
        main.main([str(argument) for argument in arguments], prog_name="sparserec-np")
    except SystemExit as end:
        if end.code:
            raise


def in_child(action, *, started=None, kill=None):
    """Do something in a forked process; return its exit code, negative for a signal, and what it said.

    Parameters
    ----------
    action : callable
        What to do.
    started : callable, optional
        Called first in the child.
    kill : (int, float), optional
        A signal that the process is sent after some seconds.
    """
    with tempfile.TemporaryFile() as said:
        code = _ended(action, started, kill, said)
        said.seek(0)
        text = said.read().decode(errors="replace")
    if code is None:
        raise Fault(f"it does not end: {text[-2000:]}")
    return code, text


def _ended(action, started, kill, said):
    """Do something in a forked process; return its exit code, None if it does not end."""
    child = os.fork()
    if not child:
        code = 99
        try:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
            sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115
            signal.signal(signal.SIGINT, signal.default_int_handler)
            for number in (signal.SIGTERM, signal.SIGHUP):  # which a shell may have had ignored
                signal.signal(number, signal.SIG_DFL)
            if started is not None:
                started()
            action()
            code = 0
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except KeyboardInterrupt:
            code = 130  # what an interpreter would make of it
        except BaseException:
            traceback.print_exc()
        finally:
            try:
                sys.stdout.flush()
                sys.stderr.flush()
            finally:
                os._exit(code)
    if kill is not None:
        time.sleep(kill[1])
        os.kill(child, kill[0])
    limit = time.monotonic() + 30
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > limit:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.0005)


def _is_hidden(name):
    return any(part.startswith(".") for part in name.split("/"))


def _difference(found, trees):
    return {
        state: sorted(
            name for name in found.keys() | expected.keys() if found.get(name) != expected.get(name)
        )[:6]
        for state, expected in trees.items()
    }
