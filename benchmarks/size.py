"""Bytes of the embedding tables of a trained model, and what they cost in recall, on Gowalla.

    python benchmarks/size.py [--density 0.1] [--dim 64] [--epochs 12] [--dense] [--json FILE]

Bytes are those of the embedding parts of the file as written: patterns, values and scales. The dense tables
of fewer dims have the bytes of the sparse model with float16; they are trained like it. The graph model has
as many entries, but none for users: it makes people of their history, which the app or the seen items hold.
With ``--dense`` the dense tables of full width are trained, too, which takes some ten times as long.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from common import as_csr, embedding_bytes, gowalla, markdown, rounded, trained, write_json
from scipy import sparse

from sparserec_np import SparseBPR, SparseGraph, metrics
from sparserec_np.runtime import ModelData, load_model, save_model
from sparserec_np.scorers import PropagationScorer

Row = dict[str, Any]


def in_precision(users: Any, items: Any, dtype: str) -> tuple[Any, Any]:
    """Return dense tables, given as CSR, as they come back from a type."""
    users, items = (sparse.csr_array(rounded(table.toarray(), dtype)) for table in (users, items))
    return users, items


def graph_rows(model: ModelData, of_items: Callable[[Any], Row]) -> Iterator[Row]:
    """Every way to store the graph model, measured as it is read again."""
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "float16", "int8"):
            path = Path(folder) / precision
            save_model(path, model, precision)
            items = load_model(path).items
            yield {
                "storage": f"graph model, width {items.dim}, {precision}",
                "bytes": embedding_bytes(path),
                **of_items(as_csr(items)),
            }


def sparse_rows(model: ModelData, recall: Callable[[Any, Any], Row]) -> Iterator[Row]:
    """Every way to store the sparse model, measured as it is read again."""
    users, items = as_csr(model.users), as_csr(model.items)
    n_bytes = sum(t.data.nbytes + t.indices.nbytes + t.indptr.nbytes for t in (users, items))
    yield {"storage": "scipy CSR, float32 + int32", "bytes": n_bytes, **recall(users, items)}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("float32", "float16", "int8"):
            path = Path(folder) / precision
            save_model(path, model, precision)
            read = load_model(path)
            yield {
                "storage": f"sparserec_np, {precision}",
                "bytes": embedding_bytes(path),
                **recall(as_csr(read.users), as_csr(read.items)),
            }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--dense", action="store_true")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    train, test = gowalla()
    n_rows = train.n_users + train.n_items

    def model(**settings: Any) -> ModelData:
        settings = {"dim": args.dim, "density": args.density, "epochs": args.epochs, **settings}
        name = "gowalla-" + "-".join(f"{key}{value}" for key, value in settings.items())
        return trained(name, lambda: SparseBPR(random_state=0, **settings).fit(train))

    def recall(users: Any, items: Any) -> Row:
        measured = metrics.evaluate(users, items, train.user_items, test.user_items, 20)
        return {"recall@20": measured["recall@20"], "ndcg@20": measured["ndcg@20"]}

    graph = SparseGraph(dim=args.dim, density=args.density, epochs=args.epochs, random_state=0)
    weights = PropagationScorer(train.user_items, graph.item_power, graph.length_power).weights

    def of_items(items: Any) -> Row:
        return recall(weights @ items, items)

    found = list(sparse_rows(model(), recall))
    budget = next(row["bytes"] for row in found if row["storage"].endswith("float16"))
    dense_float32 = 4 * n_rows * args.dim
    dense: list[Row] = [
        {"storage": "dense, float32", "bytes": dense_float32},
        {"storage": "dense, float16", "bytes": dense_float32 // 2},
        {"storage": "dense, int8", "bytes": n_rows * (args.dim + 4)},
    ]
    if args.dense:
        wide = model(density=1.0, grow_by="none")
        users, items = as_csr(wide.users), as_csr(wide.items)
        dense[0] |= recall(users, items)
        for row, dtype in zip(dense[1:], ("float16", "int8"), strict=True):
            row |= recall(*in_precision(users, items, dtype))
    for dtype, per_entry, per_row in (("float32", 4, 0), ("float16", 2, 0), ("int8", 1, 4)):
        dim = max(1, round((budget / n_rows - per_row) / per_entry))
        narrow = model(dim=dim, density=1.0, grow_by="none")
        users, items = as_csr(narrow.users), as_csr(narrow.items)
        users, items = in_precision(users, items, dtype)
        row = {"storage": f"dense, dim {dim}, {dtype}", "bytes": n_rows * (dim * per_entry + per_row)}
        dense.append(row | recall(users, items))

    name = f"gowalla-graph-dim{args.dim}-density{args.density}-epochs{args.epochs}"
    found += graph_rows(trained(name, lambda: graph.fit(train)), of_items)
    rows = [*dense, *found]
    for row in rows:
        row["smaller"] = dense_float32 / row["bytes"]
    print(f"Gowalla, {n_rows:,} rows, dim {args.dim}, density {args.density:g}\n")
    print(
        markdown(
            ("storage", "bytes", "bytes a row", "times smaller", "Recall@20", "NDCG@20"),
            [
                (
                    row["storage"],
                    f"{row['bytes']:,}",
                    f"{row['bytes'] / n_rows:.1f}",
                    f"{row['smaller']:.1f}",
                    *(f"{row[name]:.4f}" if name in row else "" for name in ("recall@20", "ndcg@20")),
                )
                for row in rows
            ],
        )
    )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "rows": rows})


if __name__ == "__main__":
    main()
