"""``sparserec-np evaluate``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from sparserec_np.errors import DataError

from .interactions import read, reading_options
from .output import examples, metrics_table, show_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from sparserec_np.data import Interactions
    from sparserec_np.runtime import ModelData, Recommender
    from sparserec_np.runtime.ids import IdMap


@click.command(
    epilog=examples(
        "sparserec-np evaluate data.srec test.csv -k 20",
        "sparserec-np evaluate data.srec test.csv -k 10 -k 50 --json",
    )
)
@click.argument("model", type=click.Path())
@click.argument("test")
@click.option(
    "-k",
    "lengths",
    default=[20],
    show_default=True,
    multiple=True,
    type=click.IntRange(min=1),
    help="Length of the lists; may be given several times.",
)
@click.option("--jobs", type=click.IntRange(min=1), help="Threads. [default: one per core]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@reading_options
def command(
    model: str, test: str, lengths: tuple[int, ...], jobs: int | None, as_json: bool, **reading: Any
) -> None:
    """Measure how well the model file MODEL ranks the held-out interactions in the file TEST.

    For every user in TEST all items are ranked except those the user was trained on. The means are over
    the users in TEST that MODEL knows; rows with a user or an item that it does not know are left out and
    counted, as are rows that it was trained on.
    """
    from sparserec_np import metrics
    from sparserec_np.batch import added_by
    from sparserec_np.runtime import Recommender

    recommender = Recommender.load(model, mmap="auto")
    loaded = recommender.data
    if not loaded.n_users:
        raise DataError(f"{model}: the model holds no users, so there is nobody to evaluate it for")
    interactions = read(test, **reading)
    train = seen_of(loaded)
    held_out, dropped = held_out_of(loaded, interactions, train)
    if not held_out.nnz:
        reasons = "; ".join(f"{count:,} dropped: {reason}" for reason, count in dropped.items())
        raise DataError(
            f"{test}: none of its {interactions.n_interactions:,} interactions can be evaluated ({reasons}); "
            "expected ids that the model was trained on, and interactions that it was not"
        )
    result = metrics.evaluate(
        users_of(recommender),
        as_csr(loaded.items),
        train,
        held_out,
        lengths,
        item_bias=loaded.item_bias,
        popularity=loaded.popularity,
        added=added_by(loaded),
        n_jobs=jobs,
    )
    popular = metrics.evaluate_popularity(loaded.popularity, train, held_out, lengths, n_jobs=jobs)
    if as_json:
        show_json(
            {
                **result,
                "n_interactions": int(held_out.nnz),
                "dropped": dropped,
                "most_popular": {name: value for name, value in popular.items() if name != "n_users"},
            }
        )
        return
    click.echo(f"{interactions.summary}")
    for reason, count in dropped.items():
        click.echo(f"{count:,} interactions dropped: {reason}")
    click.echo(f"{held_out.nnz:,} held-out interactions of {result['n_users']:,} users\n")
    click.echo(metrics_table({"model": result, "most popular": popular}))


def users_of(recommender: Recommender) -> Any:
    """Return the user table as CSR; where there is none, what makes its rows of the users' histories."""
    from scipy import sparse

    if recommender.data.users is not None:
        return as_csr(recommender.data.users)
    return lambda rows: sparse.csr_array(recommender.user_vectors(rows))


def held_out_of(model: ModelData, test: Interactions, train: Any) -> tuple[Any, dict[str, int]]:
    """Bring the test interactions into the model's rows, and count by reason what was dropped."""
    import numpy as np
    from scipy import sparse

    pairs = test.user_items.tocoo()
    users = _rows(model.user_ids, test.users)[pairs.row]
    items = _rows(model.item_ids, test.items)[pairs.col]
    known = (users >= 0) & (items >= 0)
    ones = np.ones(np.count_nonzero(known), np.float32)
    held_out = sparse.csr_array((ones, (users[known], items[known])), shape=(model.n_users, model.n_items))
    new = held_out - held_out.multiply(train)
    new.eliminate_zeros()
    dropped = {
        "unknown user": int(np.count_nonzero(users < 0)),
        "unknown item": int(np.count_nonzero((users >= 0) & (items < 0))),
        "trained on": int(held_out.nnz - new.nnz),
    }
    return new, {reason: count for reason, count in dropped.items() if count}


def _rows(known: IdMap, asked: IdMap) -> NDArray[np.int64]:
    """Row in `known` of each id in `asked`, -1 where it has none.

    Compared as text: one id that is no number makes all of a file's ids strings.
    """
    import numpy as np

    row_of = {str(id): row for row, id in enumerate(known.ids())}
    return np.array([row_of.get(str(id), -1) for id in asked.ids()], np.int64)


def seen_of(model: ModelData) -> Any:
    """Return what the users were trained on, as CSR of ones."""
    import numpy as np
    from scipy import sparse

    shape = (model.n_users, model.n_items)
    if model.seen is None:
        raise DataError(
            "the model does not hold the items that its users were trained on, so they cannot be left out of "
            "the ranking; save it with them"
        )
    ones = np.ones(len(model.seen.indices), np.float32)
    return sparse.csr_array((ones, model.seen.indices, model.seen.indptr), shape=shape)


def as_csr(table: Any) -> Any:
    """Return a table of a model file as scipy's CSR."""
    from scipy import sparse

    return sparse.csr_array((table.values, table.indices, table.indptr), shape=(table.n_rows, table.dim))
