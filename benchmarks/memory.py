"""What training takes in memory beyond the interactions, against implicit's BPR and ALS.

    python benchmarks/memory.py [--scale 1] [--dim 128] [--density 0.1] [--epochs 2] [--threads 2]
        [--only NAME ...] [--json FILE]

A million users, a million items and twenty million interactions, generated; ``--scale 0.1`` makes all three a
tenth. Every fit has a process of its own that has fitted something small before, so that compiled kernels and
loaded libraries do not count, and then reads the interactions into memory. Its growth is the most that the
process ever held less what it held then. It is printed in bytes and as a share of the two dense float32
tables of that shape, which is what a dense method ends with at the least. Ours start from the NMF mask and
explore once; the row with early stopping validates on held-out interactions, and trains again on all.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import in_fresh_process, markdown, write_json
from scipy import sparse

from sparserec_np import SparseBPR
from sparserec_np.data import make_interactions


def held(name: str) -> int:
    """Memory of this process in bytes: ``"VmRSS"`` now, ``"VmHWM"`` at most."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(name + ":"):
            return 1024 * int(line.split()[1])
    raise SystemExit(f"this benchmark reads {name} from /proc/self/status; it needs Linux")


def fit_ours(pairs: Any, dim: int, density: float, epochs: int, threads: int, early_stopping: int) -> Any:
    model = SparseBPR(
        loss="bpr", negatives=1, dim=dim, density=density, epochs=epochs, n_jobs=threads,
        early_stopping=early_stopping, random_state=0, width=dim,
    )  # fmt: skip
    return model.fit(pairs)


def fit_implicit(name: str, pairs: Any, dim: int, epochs: int, threads: int) -> Any:
    from threadpoolctl import threadpool_limits

    if name == "BPR":
        from implicit.cpu.bpr import BayesianPersonalizedRanking

        model: Any = BayesianPersonalizedRanking(
            factors=dim - 1, iterations=epochs, num_threads=threads, random_state=0
        )
    else:
        from implicit.cpu.als import AlternatingLeastSquares

        model = AlternatingLeastSquares(factors=dim, iterations=epochs, num_threads=threads, random_state=0)
    with threadpool_limits(1):
        model.fit(sparse.csr_matrix(pairs.user_items), show_progress=False)
    return model


def measure(method: str, folder: Path, dim: int, density: float, epochs: int, threads: int) -> dict[str, Any]:
    """Fit one method in this process, and tell what it took."""
    small = make_interactions(300, 200, 5000, random_state=0)
    _fit(method, small, dim, density, epochs, threads)
    data = _loaded(folder)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = held("VmRSS")
    start = time.perf_counter()
    _fit(method, data, dim, density, epochs, threads)
    return {"loaded": before, "growth": held("VmHWM") - before, "seconds": time.perf_counter() - start}


def _fit(method: str, data: Any, dim: int, density: float, epochs: int, threads: int) -> Any:
    if method.startswith("implicit"):
        return fit_implicit(method.split()[-1], data, dim, epochs, threads)
    return fit_ours(data, dim, density, epochs, threads, 4 if "early stopping" in method else 0)


def _loaded(folder: Path) -> Any:
    """Read the interactions as arrays of this process: what is mapped would count only once looked at."""
    from dataclasses import replace

    from sparserec_np.data import Interactions

    mapped = Interactions.from_dir(folder)
    pairs = mapped.user_items
    arrays = []
    for array in (pairs.data, pairs.indices, pairs.indptr):
        arrays.append(np.empty(array.shape, array.dtype))
        for begin in range(0, len(array), 1 << 20):
            arrays[-1][begin : begin + (1 << 20)] = array[begin : begin + (1 << 20)]
    matrix = sparse.csr_array(tuple(arrays), shape=pairs.shape)
    matrix.has_canonical_format = True
    return replace(mapped, user_items=matrix)


def _generate(folder: Path, scale: float) -> dict[str, Any]:
    n = round(1_000_000 * scale)
    make_interactions(n, n, 20 * n, n_tastes=50, random_state=0).to_dir(folder)
    return {}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--density", type=float, default=0.1)
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", help="words that a method's name has one of")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    methods = ["sparserec_np BPR", "sparserec_np BPR, early stopping"]
    try:
        from implicit import __version__ as version

        methods += [f"implicit {version} BPR", f"implicit {version} ALS"]
    except ImportError:
        parser.error("this benchmark needs implicit; pip install 'sparserec-np[bench]'")
    if args.only:
        methods = [method for method in methods if any(word in method for word in args.only)]
    n = round(1_000_000 * args.scale)
    dense = 2 * n * args.dim * 4
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "interactions"
        in_fresh_process(_generate, folder, args.scale)
        for method in methods:
            print(f"fitting {method}", file=sys.stderr)
            result[method] = in_fresh_process(
                measure, method, folder, args.dim, args.density, args.epochs, args.threads
            )
            print(f"  {result[method]['growth'] / 1e6:,.0f} MB", file=sys.stderr)
    print(
        f"{n:,} users, {n:,} items, {20 * n:,} interactions, dim {args.dim}, density {args.density:g}, "
        f"{args.epochs} epochs; the dense tables take {dense / 1e6:,.0f} MB\n"
    )
    print(
        markdown(
            ("", "growth in MB", "to the dense tables", "s"),
            [
                (
                    method,
                    f"{found['growth'] / 1e6:,.0f}",
                    f"{found['growth'] / dense:.2f}",
                    f"{found['seconds']:.0f}",
                )
                for method, found in result.items()
            ],
        )
    )
    write_json(
        args.json,
        {"settings": {**vars(args), "json": None}, "dense_bytes": dense, "result": result},
    )


if __name__ == "__main__":
    main()
