"""Find films to watch by the ones you like, by ``python3 terminal.py``.

It works in the folder that `make.py` made, offline, with Python 3.10, NumPy 1.24 and nothing else.
"""

from __future__ import annotations

import io
import re
import sys

from films import FOLDER, AppError, Film, Films

HELP = """\
  part of a title   search, and number what is found
  a number          like the film of that number in the last list, or no longer like it
  Enter             what to watch next
  *                 the films you like
  q                 leave"""


class Session:
    """A conversation: the films somebody likes, and the list that their numbers speak of.

    Parameters
    ----------
    films : Films
    """

    def __init__(self, films: Films) -> None:
        self.films = films
        self.liked: list[int | str] = []
        self._listed: list[Film] = []

    def answer(self, line: str) -> str:
        """Do what a line asks for, and say what came of it."""
        line = line.strip()
        if line in ("?", "help"):
            return HELP
        if line == "*":
            liked = [self.films[id] for id in self.liked]
            return self._list("You like", liked) if liked else "You like no film yet."
        if not line:
            return self._next()
        # "2001" is a number in no list, but it is a title.
        if re.fullmatch("[0-9]{1,3}", line) and 1 <= int(line) <= len(self._listed):
            return self._toggle(self._listed[int(line) - 1])
        found = self.films.search(line)
        if not found:
            return f"No film is called anything like {line!r}; try one word of its title."
        return self._list(f"Found for {line!r}", found)

    def _toggle(self, film: Film) -> str:
        if film.id in self.liked:
            self.liked.remove(film.id)
            said = f"You no longer like {film}."
        else:
            self.liked.append(film.id)
            said = f"You like {film}."
        return f"{said}\n\n{self._next()}"

    def _next(self) -> str:
        heading = "For you" if self.liked else "What most people like"
        return self._list(heading, self.films.recommend(self.liked))

    def _list(self, heading: str, films: list[Film]) -> str:
        self._listed = films
        lines = [
            f"{n:3} {'*' if film.id in self.liked else ' '} {film!s:48}  {film.genres}".rstrip()
            for n, film in enumerate(films, start=1)
        ]
        return "\n".join([f"{heading}:", *lines])


def main() -> int:
    """Talk until the person has enough."""
    try:
        films = Films.load(FOLDER)
    except AppError as error:
        print(error, file=sys.stderr)
        return 1
    session = Session(films)
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # nobody's title has such bytes, and the search says so
    print(f"{len(films):,} films. Search one you like by its title, then type its number.\n\n{HELP}\n")
    try:
        while (line := input("> ")).strip() not in ("q", "quit"):
            print(f"{session.answer(line)}\n")
    except (EOFError, KeyboardInterrupt):
        print()
    return 0


if __name__ == "__main__":
    sys.exit(main())
