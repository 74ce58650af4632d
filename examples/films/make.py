"""Make the film app from MovieLens 100K, by ``python examples/films/make.py``.

It trains on what people liked, writes the few kilobytes that a device needs and puts the programs beside
them: a folder to copy, which runs with Python and NumPy alone.

The data are not ours to give. Get ml-100k.zip from https://grouplens.org/datasets/movielens/100k/, unpack
it, and say where it is with --data.
"""

from __future__ import annotations

import argparse
import gzip
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from sparserec_np.cli.bundle import write_bundle

from sparserec_np import Interactions, SparseBPR
from sparserec_np.errors import SparserecError
from sparserec_np.runtime import load_model, save_model

HERE = Path(__file__).parent
PROGRAMS = ("films.py", "terminal.py", "web.py", "page.html")

RATINGS = ("u.data", "u.data.gz")
TITLES = ("u.item", "items.tsv.gz")

# In the order of the flags in u.item.
_GENRES = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama",
    "Fantasy", "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip
_ARTICLE = re.compile(r"(.+), (The|An?|Das|Der|Die|El|Il|L[aeo]s?|L')( \(.*)?")


def main() -> int:
    """Train, and write the app."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data" / "ml-100k",
                        help="folder of MovieLens 100K [default: %(default)s]")  # fmt: skip
    parser.add_argument("--output", type=Path, default=Path("build", "films"),
                        help="folder to be written [default: %(default)s]")  # fmt: skip
    arguments = parser.parse_args()
    try:
        ratings, titles = (_first(arguments.data, names) for names in (RATINGS, TITLES))
        arguments.output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            model = Path(folder, "films.srec")
            train(ratings, model)
            assemble(model, list(read_titles(titles)), arguments.output)
    except (OSError, SparserecError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return 1
    print(f"In a terminal: python3 {arguments.output / 'terminal.py'}")
    print(f"On a web page: python3 {arguments.output / 'web.py'}")
    return 0


def train(ratings: Path, model: Path) -> None:
    """Train on the films that people rated 4 or 5, and write the model in few bytes."""
    recommender = SparseBPR(random_state=0).fit(Interactions.from_csv(ratings, min_rating=4))
    measured = (recommender.validation_["ndcg@20"], recommender.baseline_["ndcg@20"])
    print("NDCG@20 on held-out likes: {:.4f}, where the most popular films have {:.4f}".format(*measured))
    recommender.save(model)
    save_model(model, load_model(model), "int8")


def read_titles(path: Path) -> Iterator[tuple[str, str, str, str]]:
    """Read id, title, year and genres, from ``u.item`` or from a table with a header."""
    if path.name == "u.item":
        with path.open(encoding="latin-1") as lines:
            for line in lines:
                id, title, date, _, _, *flags = line.rstrip("\n").split("|")
                genres = [genre for genre, flag in zip(_GENRES, flags, strict=True) if flag == "1"]
                yield id, readable(re.sub(r" *\([0-9]{4}\) *$", "", title)), date[-4:], " ".join(genres)
    else:
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            next(lines)
            for line in lines:
                id, title, year, names = line.rstrip("\n").split("\t")
                yield id, readable(title), year, names


def readable(title: str) -> str:
    """Put the article where it is read: "Usual Suspects, The" is a name for a drawer."""
    match = _ARTICLE.fullmatch(title)
    if match is None:
        return title
    name, article, rest = match.groups("")
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{name}{rest}"


def assemble(model: Path, titles: list[tuple[str, str, str, str]], output: Path) -> None:
    """Write the bundle, the titles of the films that the model knows, and the programs.

    The app knows a person by their likes: those of the people whom it was trained on are not in the bundle.
    """
    known = load_model(model).item_ids
    lines = ["\t".join(film) for film in titles if known.parse(film[0]) in known]
    others = {name: (HERE / name).read_bytes() for name in PROGRAMS}
    others["titles.tsv"] = ("\n".join(lines) + "\n").encode()
    write_bundle(model, output, force=True, others=others)
    sizes = {path.name: path.stat().st_size for path in output.iterdir() if path.is_file()}
    print(f"{output}: {len(lines):,} films; the model takes {sizes['model.srec']:,} bytes")


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    for name in names:
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(
        f"there is no {' or '.join(names)} in {folder}; get ml-100k.zip from "
        "https://grouplens.org/datasets/movielens/100k/, unpack it and give its folder as --data"
    )


if __name__ == "__main__":
    sys.exit(main())
