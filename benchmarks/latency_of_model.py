"""Top-20 for one person from a model file, with all of its parts: milliseconds, one thread.

    sparserec-np fit ../shared/data/gowalla/train.csv.gz -o gowalla.srec
    python benchmarks/latency_of_model.py gowalla.srec [--people 1000]

Random users are asked for, in NumPy and accelerated, by all parts and by the tables alone, without the
neighbours: all of them in one way, then in the next, and so on for several rounds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from common import markdown
from threadpoolctl import threadpool_limits

from sparserec_np.runtime import Recommender, load_model

K = 20


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("model")
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    data = load_model(args.model)
    kinds = {"all parts": data, "tables alone": data.without_neighbours()}
    ways = {
        (name, "accelerated" if accelerate else "NumPy"): Recommender(kind, accelerate=accelerate)
        for name, kind in kinds.items()
        for accelerate in (False, True)
    }
    users = np.random.default_rng(0).permutation(len(data.user_ids))[: args.people]
    seconds: dict[tuple[str, str], list[float]] = {way: [] for way in ways}
    with threadpool_limits(1):
        for recommender in ways.values():
            recommender.recommend(data.user_ids[int(users[0])], k=K)  # what is made once is made
        for _ in range(args.rounds):
            for way, recommender in ways.items():
                for user in users:
                    person = data.user_ids[int(user)]
                    start = time.perf_counter()
                    recommender.recommend(person, k=K)
                    seconds[way].append(time.perf_counter() - start)
    rows = [
        (*way, *(f"{1e3 * np.percentile(times, share):.2f}" for share in (50, 90, 99)))
        for way, times in seconds.items()
    ]
    print(markdown(("score", "way", "median ms", "90 %", "99 %"), rows))


if __name__ == "__main__":
    main()
