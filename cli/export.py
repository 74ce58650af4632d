"""``sparserec-np export``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from sparserec_np.errors import DataError

from .files import check_name, check_output, parts_of, precision_option
from .interactions import read, reading_options
from .output import examples, metrics_table, show_json, size, table

if TYPE_CHECKING:
    from sparserec_np.runtime import ModelData

_K = 20
# Enough people for the share of equal items to be exact to a percent.
_SAMPLE = 1000


@click.command(
    epilog=examples(
        "sparserec-np export data.srec -o small.srec --precision int8",
        "sparserec-np export data.srec -o items.srec --precision float16 --items-only --test test.csv",
    )
)
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="Model file to be written."
)
@click.option("--force", is_flag=True, help="Replace the output if it exists.")
@precision_option("float16")
@click.option("--items-only", is_flag=True, help="Leave out all users: people are served by their history.")
@click.option("--no-seen", is_flag=True, help="Leave out which items the users were trained on.")
@click.option(
    "--test", metavar="FILE", help="Held-out interactions, to measure recall and NDCG before and after."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reading_options
def command(
    model: Path,
    output: Path,
    force: bool,
    precision: str,
    items_only: bool,
    no_seen: bool,
    test: str | None,
    as_json: bool,
    **reading: Any,
) -> None:
    """Write the model file MODEL again, smaller, and say what that costs.

    Without users, people are encoded from the items that they were trained on, as a device does it.
    """
    from sparserec_np.runtime import load_model, save_model

    check_output(output, str(model), force)
    check_name(output, "a model file", ".srec")
    before = load_model(model)
    smaller = without(before, users=items_only, seen=items_only or no_seen)
    held_out = None if test is None else _held_out(before, test, reading)
    save_model(output, smaller, precision)
    after = load_model(output)
    report: dict[str, Any] = {
        "output": str(output),
        "precision": precision,
        "bytes": {"before": model.stat().st_size, "after": output.stat().st_size},
        "parts": {"before": parts_of(model), "after": parts_of(output)},
        "agreement": _agreement(before, after),
    }
    if held_out is not None:
        report["measured"] = {
            name: _measure(one, before, held_out) for name, one in (("before", before), ("after", after))
        }
    if as_json:
        show_json(report)
    else:
        click.echo(_text(report))


def without(model: ModelData, *, users: bool, seen: bool) -> ModelData:
    """Leave out the users, or what they have seen; users who are made of that go with it."""
    from sparserec_np.runtime import IdMap

    if users or (seen and model.users is None):
        nobody = IdMap.range(0, entity="user")
        return replace(model.without_neighbours(), users=None, user_ids=nobody, user_bias=None, seen=None)
    return replace(model, seen=None) if seen else model


def _held_out(model: ModelData, path: str, reading: dict[str, Any]) -> Any:
    from .evaluate import held_out_of, seen_of

    held_out, _ = held_out_of(model, read(path, **reading), seen_of(model))
    if not held_out.nnz:
        raise DataError(f"{path}: none of its interactions are of users and items that the model knows")
    return held_out


def _agreement(before: ModelData, after: ModelData) -> dict[str, Any] | None:
    """Share of the top 20 that both models give some users; None where there is no user to ask for."""
    import numpy as np

    from sparserec_np.batch import added_by
    from sparserec_np.metrics import rank

    rows = np.flatnonzero(_can_be_asked(before, after))
    if not len(rows):
        return None
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:_SAMPLE])
    ids = [
        rank(
            _users(one, before, rows),
            _csr(one.items),
            min(_K, before.n_items),
            exclude=_seen(before),
            rows=rows,
            item_bias=one.item_bias,
            popularity=one.popularity,
            added=added_by(one),
        ).ids
        for one in (before, after)
    ]
    answers = [(a[a >= 0], b[b >= 0]) for a, b in zip(*ids, strict=True)]
    same = [len(np.intersect1d(a, b)) / len(a) for a, b in answers if len(a)]
    return {"k": _K, "share": float(np.mean(same or [1.0])), "n_users": len(same)}


def _can_be_asked(before: ModelData, after: ModelData) -> Any:
    """Users whom both models can answer: by their rows, or by what they were trained on."""
    import numpy as np

    if after.users is not None or before.users is None:
        return np.ones(before.n_users, bool)
    if before.seen is None or before.encoder == "ratings":
        return np.zeros(before.n_users, bool)
    return np.diff(before.seen.indptr) > 0


def _measure(model: ModelData, before: ModelData, held_out: Any) -> dict[str, float]:
    import numpy as np

    from sparserec_np import metrics
    from sparserec_np.batch import added_by

    rows = np.flatnonzero(np.diff(held_out.indptr))
    users = _users(model, before, rows)
    return metrics.evaluate(
        users,
        _csr(model.items),
        _seen(before),
        held_out,
        _K,
        item_bias=model.item_bias,
        popularity=model.popularity,
        added=added_by(model),
    )


def _users(model: ModelData, before: ModelData, rows: Any) -> Any:
    """User table of a model; without one, its encodings of what the users in `rows` were trained on."""
    import numpy as np
    from scipy import sparse

    from sparserec_np.runtime.parts import HistoryEncoder
    from sparserec_np.runtime.scoring import TableScorer

    if model.users is not None:
        return _csr(model.users)
    if before.seen is None:
        raise DataError("the model holds no seen items to encode its users from; export them, or no --test")
    encoder = HistoryEncoder(model, TableScorer(model.items))
    indptr, indices = before.seen
    vectors = np.zeros((len(rows), model.dim), np.float32)
    for vector, row in zip(vectors, rows.tolist(), strict=True):
        history = indices[int(indptr[row]) : int(indptr[row + 1])].astype(np.int64)
        if len(history):
            encoded = encoder.encode(history, None)
            vector[encoded.columns] = encoded.values
    # Each in its user's row, between empty rows.
    place = sparse.csr_array(
        (np.ones(len(rows), np.float32), (rows, np.arange(len(rows)))), shape=(before.n_users, len(rows))
    )
    return sparse.csr_array(place @ sparse.csr_array(vectors))


def _csr(part: Any) -> Any:
    from .evaluate import as_csr

    return as_csr(part)


def _seen(model: ModelData) -> Any:
    from .evaluate import seen_of

    return seen_of(model) if model.seen is not None else None


def _text(report: dict[str, Any]) -> str:
    """Lay out what the smaller file has, and what it costs."""
    parts = report["parts"]
    names = sorted({**parts["before"], **parts["after"]}, key=lambda name: -parts["before"].get(name, 0))
    rows = [(name, parts["before"].get(name, 0), parts["after"].get(name, 0)) for name in names]
    total: dict[str, int] = report["bytes"]
    rows.append(("whole file", total["before"], total["after"]))
    lines = [
        f"{report['output']}: {size(total['after'])}, {total['before'] / total['after']:.2f} times smaller",
        "",
        table(rows, ("part", "bytes before", "after")),
        "",
    ]
    if report["agreement"] is not None:
        agreement = report["agreement"]
        lines.append(
            f"{agreement['share']:.1%} of the top {agreement['k']} are the same, "
            f"over {agreement['n_users']:,} users"
        )
    else:
        lines.append("no user can be asked in both files, so that their answers are not compared")
    if "measured" in report:
        lines += ["", metrics_table(report["measured"])]
    return "\n".join(lines)
