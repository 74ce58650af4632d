"""What the bytes of a small file are best spent on: width and precision of the item table, on Gowalla.

    python benchmarks/budget.py [--max-bytes 500000] [--epochs 6] [--widths 64 128 256 512 1024] [--json FILE]

For each width and precision as many entries are trained as fit, the file is written as `fit --max-bytes`
writes it, read again, and measured on a part of the train part that was held out. The test part takes no
part in this.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from common import as_csr, gowalla, markdown, write_json
from sparserec_np.cli.budget import choose_items, trim
from sparserec_np.cli.export import without

from sparserec_np import SparseGraph, metrics
from sparserec_np.data import Interactions, split_random
from sparserec_np.runtime import load_model, save_model
from sparserec_np.scorers import PropagationScorer

Row = dict[str, Any]


def measured(
    part: Interactions, held_out: Interactions, max_bytes: int, width: int, precision: str, epochs: int
) -> Row:
    """Train, write, read and measure one file."""
    choice = choose_items(part, max_bytes, dim=64, widest=width, precision=precision)
    model = SparseGraph(
        dim=64, width=width, density=choice.density, epochs=epochs, early_stopping=0, random_state=0
    ).fit(part)
    data = without(model.recommender.data, users=False, seen=not choice.seen)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "m.srec")
        save_model(path, trim(data, precision, max_bytes), precision)
        n_bytes, items = path.stat().st_size, as_csr(load_model(path).items)
    powers = (model.settings_[name] for name in ("item_power", "length_power"))
    users = PropagationScorer(part.user_items, *powers).weights @ items
    found = metrics.evaluate(users, items, part.user_items, held_out.user_items, 20)
    return {
        "width": width,
        "precision": precision,
        "bytes": n_bytes,
        "entries": items.nnz,
        "recall@20": found["recall@20"],
        "ndcg@20": found["ndcg@20"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-bytes", type=int, default=500_000)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--precisions", nargs="+", default=["int8", "float16"])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    train, _ = gowalla()
    part, held_out = split_random(train, 0.2, 1)
    rows = []
    for width in args.widths:
        for precision in args.precisions:
            row = measured(part, held_out, args.max_bytes, width, precision, args.epochs)
            print(row, flush=True)
            rows.append(row)
    print(
        markdown(
            ("width", "values", "bytes", "entries", "Recall@20", "NDCG@20"),
            [
                (
                    row["width"],
                    row["precision"],
                    f"{row['bytes']:,}",
                    f"{row['entries']:,}",
                    f"{row['recall@20']:.4f}",
                    f"{row['ndcg@20']:.4f}",
                )
                for row in rows
            ],
        )
    )
    write_json(args.json, {"settings": {**vars(args), "json": None}, "rows": rows})


if __name__ == "__main__":
    main()
