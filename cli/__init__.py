"""The command line, ``sparserec-np``: one module per command, imported when that command is asked for."""

from __future__ import annotations

from contextlib import nullcontext
from importlib import import_module
from typing import Any

import click

from sparserec_np import __version__

from .errors import reported
from .output import examples
from .streams import standard_streams
from .threads import spare_threads

if __name__ == "cli":
    # An installation in place has the repository's folder on the path; a plain one has no such module.
    raise ModuleNotFoundError("the command line is sparserec_np.cli, not a module of its own", name=__name__)

_SUMMARIES = {
    "fit": "Train a sparse model on a file of interactions.",
    "evaluate": "Measure a model on held-out interactions.",
    "recommend": "Recommend items to a user, to someone with a given history, or to all users.",
    "similar": "Find the items or users most similar to one.",
    "info": "Show what is in a model file.",
    "export": "Write a model file again, smaller, and say what that costs.",
    "bundle": "Make a folder with a model and its NumPy-only runtime, to copy to a device.",
    "convert": "Read a file of interactions into a folder that opens at once and need not fit into memory.",
    "warmup": "Compile all kernels now, for an image or after an installation.",
    "demo": "See it work: generate interactions, fit, evaluate, recommend.",
}


class _Commands(click.Group):
    """Imports a command's module when it is asked for, so that ``--help`` and ``recommend`` start at once."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_SUMMARIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _SUMMARIES:
            return None
        command: click.Command = import_module(f"{__name__}.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(_SUMMARIES.items()))

    def main(self, *arguments: Any, **keywords: Any) -> Any:
        """Run the command line, whatever the standard streams are."""
        with standard_streams() if keywords.get("standalone_mode", True) else nullcontext():
            return super().main(*arguments, **keywords)

    def invoke(self, ctx: click.Context) -> Any:
        with reported():
            spare_threads()
            return super().invoke(ctx)


@click.command(
    cls=_Commands,
    epilog=examples("sparserec-np fit data.csv --density 0.1", "sparserec-np recommend data.srec --user 42"),
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="sparserec-np")
def main() -> None:
    """Train and serve sparse recommender embeddings on a plain CPU.

    Exit status: 0, or 1 for an error in what was given, 2 for wrong usage, 130 for
    Ctrl-C, 143 and 129 for SIGTERM and SIGHUP.
    """
