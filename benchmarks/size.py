"""Bytes of the embedding tables of a trained model, and what they cost in recall, on Gowalla.

    python benchmarks/size.py [--density 0.1] [--dim 64] [--epochs 12] [--dense] [--json FILE]

Bytes are those of the embedding parts of the file as written: patterns, values and scales. The dense tables
of fewer dims have the bytes of the sparse model with float16; they are trained like it. The graph model has
as many entries, but none for users: it makes people of their history, which the app or the seen items hold.
With ``--dense`` the dense tables of full width are trained, too, which takes some ten times as long.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import as_csr, gowalla, markdown, rounded, trained, write_json
from fitted import SparseModel
from scipy import sparse

from sparserec_np import SparseBPR, SparseGraph, metrics
from sparserec_np.runtime import ModelData

Row = dict[str, Any]
METRICS = ("recall@20", "ndcg@20")


def in_precision(users: Any, items: Any, dtype: str) -> tuple[Any, Any]:
    """Return dense tables, given as CSR, as they come back from a type."""
    users, items = (sparse.csr_array(rounded(table.toarray(), dtype)) for table in (users, items))
    return users, items


def file_rows(name: str, model: ModelData, train: Any, test: Any) -> Iterator[Row]:
    """Every way to write a model to a file, measured as it is read again."""
    fitted = SparseModel(model, ("float32", "float16", "int8"))
    for precision in fitted.precisions:
        found = fitted.evaluate(precision, train, test)
        yield {"storage": f"{name}, {precision}", "bytes": fitted.n_bytes(precision)} | {
            metric: found[metric] for metric in METRICS
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
        return {metric: measured[metric] for metric in METRICS}

    sparse_model = model()
    users, items = as_csr(sparse_model.users), as_csr(sparse_model.items)
    n_bytes = sum(t.data.nbytes + t.indices.nbytes + t.indptr.nbytes for t in (users, items))
    found = [{"storage": "scipy CSR, float32 + int32", "bytes": n_bytes, **recall(users, items)}]
    found += file_rows("sparserec_np", sparse_model, train.user_items, test.user_items)
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
    graph = SparseGraph(dim=args.dim, density=args.density, epochs=args.epochs, random_state=0)
    graph_model = trained(name, lambda: graph.fit(train))
    name = f"graph model, width {graph_model.items.dim}"
    found += file_rows(name, graph_model, train.user_items, test.user_items)
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
                    *(f"{row[metric]:.4f}" if metric in row else "" for metric in METRICS),
                )
                for row in rows
            ],
        )
    )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "rows": rows})


if __name__ == "__main__":
    main()
