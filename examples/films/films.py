"""The films that both programs know: their titles, the search among them, what to watch next."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from sparserec_np.errors import SparserecError, UnknownIdError
from sparserec_np.runtime import IdMap, Recommender

FOLDER = Path(__file__).parent
"""The bundle that this file was copied into, by `make.py`."""


class AppError(Exception):
    """The app cannot start; the message says why, and what to do."""

    @classmethod
    def of(cls, error: OSError) -> AppError:
        """Say which file it is about."""
        if isinstance(error, FileNotFoundError):
            return cls(f"{error.filename} is missing; make the app with make.py, and run it there")
        return cls(f"{error.filename}: {error.strerror}; make the app again with make.py")


class Film(NamedTuple):
    """A film, by the id that the model knows it by."""

    id: int | str
    title: str
    year: str
    genres: str

    def __str__(self) -> str:
        return f"{self.title} ({self.year})" if self.year else self.title


class Films:
    """All films of a model.

    Threads may share one: nothing is changed after construction.

    Parameters
    ----------
    recommender : Recommender
    films : iterable of Film
        The films that the model knows, each once; others are left out.
    """

    def __init__(self, recommender: Recommender, films: Iterable[Film]) -> None:
        self.recommender = recommender
        self._films = {film.id: film for film in films if film.id in recommender.item_ids}
        if len(self._films) != len(recommender.item_ids):
            missing = next(id for id in recommender.item_ids.ids() if id not in self._films)
            raise ValueError(f"film {missing} of the model has no title")
        # Of two films that fit a search equally well, people mean the one that more of them like.
        everything, _ = recommender.recommend(history=[], k=len(self._films))
        self._words = {id: words(self._films[id].title) for id in _plain(everything)}

    @classmethod
    def load(cls, folder: Path) -> Films:
        """Open ``model.srec`` and ``titles.tsv``, which has a line of id, title, year and genres per film.

        Raises
        ------
        AppError
            If one of them is missing or damaged, or they do not belong together.
        """
        try:
            recommender = Recommender.load(folder / "model.srec", verify=True, mmap="auto")
            films = list(_titles(folder / "titles.tsv", recommender.item_ids))
            return cls(recommender, films)
        except OSError as error:
            raise AppError.of(error) from error
        except (SparserecError, ValueError) as error:
            raise AppError(f"{error}; make the app again with make.py") from error

    def __len__(self) -> int:
        return len(self._films)

    def __getitem__(self, id: int | str) -> Film:
        return self._films[id]

    def search(self, text: str, k: int = 8) -> list[Film]:
        """Find films by words of their titles, or the beginnings of words; by similar words if need be.

        Parameters
        ----------
        text : str
            As a person types it: capitals, accents and punctuation do not matter.
        k : int
            At most so many.

        Returns
        -------
        list of Film
            What is called so comes first, then titles that begin so; of equals, those that more people like.
        """
        wanted = words(text)
        found = self._titles_with(wanted)
        if not found:
            known = {word for title in self._words.values() for word in title}
            near = [difflib.get_close_matches(word, known, 1) for word in wanted]
            found = self._titles_with([best for (best,) in near]) if all(near) else []
        return [self._films[id] for id in found[:k]]

    def _titles_with(self, wanted: Sequence[str]) -> list[int | str]:
        """Ids of the titles that have a word for each wanted one, best first."""
        if not wanted:
            return []
        found = [
            id
            for id, title in self._words.items()
            if all(any(word.startswith(start) for word in title) for start in wanted)
        ]
        return sorted(found, key=lambda id: _distance(wanted, self._words[id]))

    def recommend(self, liked: Sequence[int | str], k: int = 8) -> list[Film]:
        """Films for somebody who likes these ones; for nobody we know, the films that most people like."""
        ids, _ = self.recommender.recommend(history=liked, k=k)
        return [self._films[id] for id in _plain(ids)]


def _titles(path: Path, ids: IdMap) -> Iterator[Film]:
    with path.open(encoding="utf-8") as file:
        try:
            for n, line in enumerate(file, start=1):
                fields = line.rstrip("\n").split("\t")
                if len(fields) != len(Film._fields):
                    raise ValueError(
                        f"{path}, line {n}: found {len(fields)} fields; expected 4, with tabs between"
                    )
                try:
                    yield Film(ids.parse(fields[0]), *fields[1:])
                except UnknownIdError:
                    raise ValueError(
                        f"{path}, line {n}: {fields[0]!r} is not an id of the model's kind"
                    ) from None
        except UnicodeDecodeError:
            raise ValueError(f"{path}: found what is not text in UTF-8") from None


def words(text: str) -> list[str]:
    """Split a text into its words, in the one way that all its spellings share."""
    letters = unicodedata.normalize("NFKD", re.sub("['\u2019]", "", text.casefold()))
    return re.findall(r"[^\W_]+", "".join(letter for letter in letters if not unicodedata.combining(letter)))


def _distance(wanted: Sequence[str], title: Sequence[str]) -> int:
    """How far a title is from the words of a search: 0 if it is called so, 1 if it begins so, else 2."""
    text = " ".join(wanted)
    names = [" ".join(title), " ".join(title[1:] if title[0] == "the" else title)]
    if text in names:
        return 0
    return 1 if any(name.startswith(text) for name in names) else 2


def _plain(ids: Iterable[int | str]) -> list[int | str]:
    """Ids as Python's own types: NumPy's integers are no JSON."""
    return [id if isinstance(id, str) else int(id) for id in ids]
