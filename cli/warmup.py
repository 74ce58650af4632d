"""``sparserec-np warmup``."""

from __future__ import annotations

import io
import shlex
import tempfile
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import click

from sparserec_np.errors import SettingError

from . import main
from .output import duration, examples, show_json, table
from .progress import Bar

# numba compiles for the types of numbers. Files of interactions differ in the bytes that the number of a
# user or an item takes, in what ids and weights look like, and in whether there are weights and times.
# By name: users, and as many items; items of each user; header; line.
_FILES = {
    "text.csv": (50, 12, "user,item,rating,timestamp", "u{user},i{item},{rating},{time}"),
    "quoted.csv": (50, 12, "user,item,rating", '"{user}, x","i{item}",{rating}.5'),
    "numbers.tsv": (400, 12, "user\titem\trating\ttimestamp", "{user}\t{item}\t{rating}\t{time}"),
    "long.csv": (400, 12, "user,item", "1000000000{user},1000000000{item}"),
    "many.csv": (70_000, 2, "user,item,rating,timestamp", "u{user},{item},{rating},{time}"),
    "test.csv": (50, 30, "user,item", "u{user},i{item}"),
}


@click.command(epilog=examples("sparserec-np warmup", "NUMBA_CACHE_DIR=/opt/kernels sparserec-np warmup"))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> None:
    """Compile all kernels now, so that no other command has to wait for that.

    Meant for images and for the end of an installation: run it as whoever can write to the package's folder,
    or set NUMBA_CACHE_DIR here and wherever the library is used. It takes a minute or two, and nothing where
    the kernels are compiled already. They are for processors like this one.
    """
    from sparserec_np.compilation import cache

    started = time.perf_counter()
    click.echo("Compiling all kernels, which takes a minute or two …", err=True)
    with tempfile.TemporaryDirectory(prefix="sparserec-warmup-") as temporary:
        folder = Path(temporary)
        for name, layout in _FILES.items():
            _write(folder / name, *layout)
        commands = _commands()
        with Bar("steps", len(commands)) as bar:
            for step in commands:
                _run([argument.format(folder=folder) for argument in shlex.split(step)])
                bar.advance(1)
            _without_commands(folder / "text.csv")
    tally = cache.tally
    if tally.not_kept:
        raise SettingError(
            f"the compiled kernels cannot be kept, because {cache.NO_FOLDER}. {cache.A_FOLDER}."
        )
    report: dict[str, Any] = {
        "compiled": tally.compiled,
        "ready_before": tally.loaded,
        "folders": sorted(map(str, tally.folders)),
        "seconds": time.perf_counter() - started,
    }
    if as_json:
        show_json(report)
        return
    rows = [
        ("compiled", f"{report['compiled']:,}"),
        ("ready before", f"{report['ready_before']:,}"),
        *(("kept in", folder) for folder in report["folders"]),
        ("time", duration(report["seconds"])),
    ]
    click.echo(table(rows))


def _commands() -> list[str]:
    """Return what is run, in this order: each reads what those before have written."""
    commands: list[str] = []

    def fit(data: str, options: str) -> str:
        name = f"{{folder}}/{len(commands)}.srec"
        # Short intervals: the mask has to change in so few steps.
        always = "--epochs 2 --seed 0 --update-every 1 --batch-size 512 --output"
        commands.append(f"fit {{folder}}/{data} {options} {always} {name}")
        return name

    for data in _FILES:
        commands.append(f"convert {{folder}}/{data} --output {{folder}}/{data}.dir")
    models = [
        fit("text.csv", "--model graph --teacher als+ease --mask-init spectral"),
        fit("numbers.tsv", "--model graph --teacher spectral --dim 300 --width 300"),
        fit("text.csv", "--model blend --parts table+linear+neighbours"),
        fit("numbers.tsv", "--model blend --parts ials+neighbours"),
        fit("text.csv", "--model bpr --mask-init nmf"),
        fit("text.csv", "--model mf"),
        fit("text.csv", "--model mf --loss squared"),
        fit("numbers.tsv", "--model bpr --dim 300 --width 300"),
        fit("numbers.tsv", "--model mf --dim 300"),
        fit("numbers.tsv", "--model mf --loss squared --dim 300"),
    ]
    for model in ("graph", "bpr", "mf", "mf --loss squared"):
        for optimizer in ("adam", "sgd"):
            fit("text.csv", f"--model {model} --optimizer {optimizer}")
        fit("text.csv", f"--model {model} --popularity-power 0.5 --grow-by last_batch --mask-init random")
    fit("text.csv", "--model bpr --loss bpr --negatives 1")
    for teacher in ("als+ease", "spectral"):
        fit("text.csv.dir", f"--model graph --teacher {teacher}")
    for data in ("text.csv.dir", "numbers.tsv.dir", "long.csv.dir"):
        for model in ("blend", "bpr", "mf", "mf --loss squared"):
            fit(data, f"--model {model}")
    fit("many.csv", "--model bpr --dim 8 --width 8 --mask-init random --early-stopping 0 --negatives 1")
    for number, model in enumerate(models):
        if "text.csv" in commands[len(_FILES) + number]:
            commands.append(f"evaluate {model} {{folder}}/test.csv")
        for precision in ("float32", "int8"):
            smaller = f"{{folder}}/{number}-{precision}.srec"
            commands.append(f"export {model} --precision {precision} --output {smaller}")
            commands.append(f"recommend {smaller} --all --output {smaller}.csv")
    return commands


def _run(arguments: list[str]) -> None:
    """Run a command of this program, without its output."""
    with redirect_stdout(io.TextIOWrapper(io.BytesIO())), redirect_stderr(io.StringIO()):
        code = main.main(arguments, prog_name="sparserec-np", standalone_mode=False)
    if code:
        raise click.exceptions.Exit(code)


def _without_commands(data: Path) -> None:
    """Run the kernels that a small file or the command line does not come to."""
    from sparserec_np import Interactions, Recommender, SparseBlend
    from sparserec_np.shuffling import RandomOrder

    RandomOrder(100, 0)[:]  # the examples of an epoch, where they are many millions
    model = SparseBlend(epochs=1, parts="table+neighbours").fit(Interactions.from_csv(data))
    Recommender(model.recommender.data, accelerate=True).recommend(history=["i1", "i2"], k=3)


def _write(path: Path, n: int, n_each: int, header: str, line: str) -> None:
    """Write interactions: each of `n` users with `n_each` of `n` items."""
    with path.open("w", encoding="utf-8") as file:
        file.write(f"{header}\n")
        for user in range(n):
            for j in range(n_each):
                # No regular pattern: of that, a factorization would be left with nothing.
                item = (7 * user + j * j + user * j // 3) % n
                rating, moment = 1 + (user + j) % 5, 1_600_000_000 + 100 * user + j
                file.write(line.format(user=user, item=item, rating=rating, time=moment) + "\n")
