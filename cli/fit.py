"""``sparserec-np fit``."""

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import click

from sparserec_np.models import SparseALS, SparseBlend, SparseBPR, SparseGraph, SparseLinear, SparseMF
from sparserec_np.runtime import save_model

from . import budget
from .checkpoints import checkpoint_options, make_checkpoint, resuming
from .export import without
from .files import Bytes, check_name, check_output, precision_option
from .info import dense_bytes
from .interactions import READING, read, reading_options, stem
from .output import duration, examples, metrics_table, show_json, size, table
from .progress import Progress
from .rescue import write_or_rescue
from .settings import make_estimator, setting_options

_MODELS = {
    "blend": SparseBlend,
    "graph": SparseGraph,
    "linear": SparseLinear,
    "als": SparseALS,
    "bpr": SparseBPR,
    "mf": SparseMF,
}


@click.command(
    epilog=examples(
        "sparserec-np fit data.csv --density 0.1",
        "sparserec-np fit ratings.csv.gz --min-rating 4 --dim 128 --seed 1 --output films.srec",
        "sparserec-np fit ratings.csv.gz --checkpoint films.checkpoint --resume",
    )
)
@click.argument("data")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Model file. [default: <name of DATA>.srec]"
)
@click.option("--force", is_flag=True, help="Replace the model file if it exists.")
@click.option(
    "--model",
    type=click.Choice(list(_MODELS)),
    help="blend sums up sparse parts, chosen on held-out interactions; graph is its table alone: it encodes "
    "users by the items of their history and spends all entries on the items; bpr ranks by a row for each "
    "user and item; mf predicts ratings or choices one by one. [default: blend; mf with --loss squared]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON; all for people goes to standard error.")
@precision_option(None)
@click.option(
    "--max-bytes",
    type=Bytes(),
    metavar="SIZE",
    help="Choose width, density and precision so that the file fits, such as 500KB.",
)
@checkpoint_options
@reading_options
@setting_options(_MODELS)
def command(
    data: str,
    output: Path | None,
    force: bool,
    model: str | None,
    as_json: bool,
    precision: str | None,
    max_bytes: int | None,
    checkpoint: Path | None,
    checkpoint_every: float | None,
    resume: bool,
    **options: Any,
) -> None:
    """Train a sparse model on the file of interactions DATA, "-" for standard input.

    DATA has a line per interaction: a user, an item and, if you like, a rating and a time. Part of it is
    held out to see when to stop; then the model is trained on all of it and written to a file.
    """
    started = time.perf_counter()
    say = partial(click.echo, err=as_json)
    path = Path(f"{stem(data)}.srec") if output is None else output
    check_output(path, data, force)
    check_name(path, "a model file", ".srec")
    kept = make_checkpoint(checkpoint, checkpoint_every, resume, (path, Path(data)))
    reading = {name: options.pop(name) for name in READING}
    if max_bytes is not None and options["density"] is not None:
        raise click.UsageError("give either --density or --max-bytes, which chooses the density")
    if model is None:
        model = "mf" if options["loss"] == "squared" else "blend"
    estimator = make_estimator(model, _MODELS, options)
    estimator.check_settings()
    interactions = read(data, **reading)
    say(f"{interactions.summary}")
    say(
        f"{interactions.n_users:,} users, {interactions.n_items:,} items, "
        f"{interactions.n_interactions:,} interactions"
    )
    if interactions.weighted and estimator.loss != "squared":
        say(
            f"the loss {estimator.loss} takes every interaction for liked, whatever its weight: --min-rating "
            "keeps\nwhat is rated high enough, --loss squared predicts the ratings"
        )
    say("")
    choice = None
    if max_bytes is not None:
        choice = _choice(estimator, interactions, max_bytes, precision, options)
        estimator.set_params(dim=choice.dim, density=choice.density)
        if isinstance(estimator, SparseBPR):
            # The bytes were reckoned for this width.
            estimator.set_params(width=choice.dim)
        if _chooses_parts(estimator, options):
            estimator.set_params(parts=choice.parts)
        precision = choice.precision
        say(f"to fit into {max_bytes:,} bytes:")
        for reason in choice.reasons:
            say(f"  {reason}")
        say("")
    refits = estimator.early_stopping != 0 and estimator.refit
    with Progress(refits=refits) as progress, resuming(kept, progress):
        estimator.fit(interactions, callback=progress.update, checkpoint=kept)
    written = estimator.recommender.data

    def write(path: Path) -> None:
        nonlocal written
        if choice is not None and not choice.seen:
            written = without(written, users=False, seen=True)
        if max_bytes is not None and written.users is None:
            written = budget.trim(written, precision or "float32", max_bytes)
        save_model(path, written, precision or "float32")

    write_or_rescue(path, write, estimator.save, checkpoint)
    if kept is not None:
        kept.remove()

    nnz = written.nnz
    n_positions = (interactions.n_users + interactions.n_items) * estimator.dim
    summary = interactions.summary
    report = {
        "output": str(path),
        "estimator": type(estimator).__name__,
        "data": {
            "source": summary.source,
            "n_rows": summary.n_rows,
            "dropped": summary.dropped,
            "merged": summary.merged,
            "n_users": interactions.n_users,
            "n_items": interactions.n_items,
            "n_interactions": interactions.n_interactions,
        },
        "held_out": estimator.validation_,
        "most_popular": estimator.baseline_,
        "n_epochs": estimator.n_epochs_,
        "learning_rate": estimator.learning_rate_,
        "amount": estimator.amount_,
        "by_amount": {name: estimator.settings_[name] for name in estimator.by_amount},
        "parts": _parts(estimator),
        "width": estimator.items_.dim,
        "nnz": nnz,
        "n_positions": n_positions,
        "density": nnz / n_positions,
        "precision": precision or "float32",
        "seen": written.seen is not None,
        "bytes": path.stat().st_size,
        "dense_bytes": dense_bytes(n_positions),
        "seconds": time.perf_counter() - started,
        "peak_memory_bytes": _peak_memory(),
        "history": estimator.history_,
    }
    if as_json:
        show_json(report)
    say(_table(report))
    if warning := not_the_best(report):
        say("")
        say(warning)


def not_the_best(report: dict[str, Any]) -> str:
    """Say in a line what did better than the model on held-out interactions; empty if nothing did."""
    name = "ndcg@20"
    if name not in report["held_out"] or name not in report["most_popular"]:
        return ""
    own, popular = report["held_out"][name], report["most_popular"][name]
    if popular > own:
        return f"the most popular items do better than the model: NDCG@20 {popular:.4f}, and {own:.4f}"
    if report["parts"] is None or not report["parts"]["candidates"]:
        return ""
    best, chosen = report["parts"]["candidates"][0], report["parts"]["chosen"]
    if best["parts"] == chosen:
        return ""
    return (
        f"on the held-out interactions {best['parts']} did better than {chosen}, which was taken all the "
        f"same (docs/parts.md says why); --parts {best['parts']} takes it"
    )


def _choice(
    estimator: Any, interactions: Any, max_bytes: int, precision: str | None, options: dict[str, Any]
) -> budget.Choice:
    """Choose what fits into `max_bytes`, by the kind of the model."""
    if isinstance(estimator, SparseGraph):
        widest = estimator.width or (
            estimator.widest(interactions) if estimator.early_stopping != 0 else estimator.dim
        )
        return budget.choose_items(
            interactions,
            max_bytes,
            dim=estimator.dim,
            widest=widest,
            precision=precision,
            may_weigh=_chooses_parts(estimator, options),
        )
    return budget.choose(
        interactions,
        max_bytes,
        dim=estimator.dim,
        may_widen=options["dim"] is None,
        precision=precision,
        biases=estimator.loss == "squared",
    )


def _chooses_parts(estimator: Any, options: dict[str, Any]) -> bool:
    """Whether the parts of the model are left to held-out interactions."""
    return type(estimator) is SparseBlend and options["parts"] is None


def _parts(estimator: Any) -> dict[str, Any] | None:
    """Return what a sum consists of and what else was tried; None for a model that is no sum."""
    if not isinstance(estimator, SparseBlend):
        return None
    encoder, settings = estimator.parts_.encoder()
    return {
        "chosen": estimator.chosen_,
        "encoder": encoder,
        "encoder_settings": settings,
        "candidates": estimator.candidates_,
    }


def _tried(parts: dict[str, Any]) -> list[tuple[str, str]]:
    """Lay out the parts that were chosen, and the best that was reached with each sum."""
    rows = [("parts", parts["chosen"].replace("+", " + "))]
    best: dict[str, float] = {}
    for candidate in parts["candidates"]:
        best[candidate["parts"]] = max(best.get(candidate["parts"], 0.0), candidate["ndcg@20"])
    tried = sorted(best.items(), key=lambda one: -one[1])
    return rows + [
        ("tried" if number == 0 else "", f"NDCG@20 {ndcg:.4f}  {name.replace('+', ' + ')}")
        for number, (name, ndcg) in enumerate(tried)
    ]


def _table(report: dict[str, Any]) -> str:
    """Lay out what came of the training."""
    rows = [
        (
            "epochs",
            f"{report['n_epochs']} at learning rate {report['learning_rate']:g}"
            if report["n_epochs"]
            else "0: none improved on the start",
        ),
        *_chosen(report),
        *(_tried(report["parts"]) if report["parts"] else []),
        ("stored entries", f"{report['nnz']:,} in tables of width {report['width']}"),
        (
            "model file",
            f"{size(report['bytes'])}, {report['precision']}, with ids"
            + (" and what was seen" if report["seen"] else ""),
        ),
        ("dense tables", f"{report['n_positions']:,} entries, {size(report['dense_bytes'])} as float32"),
        ("time", duration(report["seconds"])),
    ]
    if report["peak_memory_bytes"] is not None:
        rows.append(("peak memory", size(report["peak_memory_bytes"])))
    rows.append(("written", report["output"]))
    if not report["held_out"]:
        return table(rows)
    columns = {"held out": report["held_out"], "most popular": report["most_popular"]}
    return f"{metrics_table(columns)}\n\n{table(rows)}"


def _chosen(report: dict[str, Any]) -> list[tuple[str, str]]:
    """Say which settings followed from how much data there is."""
    if not report["by_amount"]:
        return []
    amount = {
        "thin": "few interactions, and few an item",
        "few": "few interactions",
        "many": "many interactions",
    }[report["amount"]]
    lines = [f"for {amount}:"]
    for name, value in report["by_amount"].items():
        word = f"{name} {value if isinstance(value, str) else format(value, 'g')}"
        if len(lines[-1]) + len(word) > 60:
            lines.append("")
        lines[-1] += f" {word}," if lines[-1] else f"{word},"
    lines[-1] = lines[-1].rstrip(",")
    return [("settings" if n == 0 else "", line) for n, line in enumerate(lines)]


def _peak_memory() -> int | None:
    """Bytes that this process has held at most; None where the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else 1024 * peak
