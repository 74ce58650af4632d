"""Where the program ``sparserec-np`` begins and ends.

Importing the command line takes a good part of a second. Until it has its own handlers, Ctrl-C ends the
process at once: nothing has been done yet that would have to be cleaned up. Once the command has ended,
Ctrl-C comes too late to change anything.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from types import FrameType


def leave(signum: int, frame: FrameType | None) -> None:
    """End the process with the exit code that shells have for a signal."""
    os.write(2, b"Interrupted.\n")
    os._exit(128 + signum)


def run() -> None:
    """Run the command line."""
    # Whoever started us may have chosen that Ctrl-C is ignored.
    in_charge = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if in_charge:
        signal.signal(signal.SIGINT, leave)
    from sparserec_np.cli import main

    try:
        main(prog_name="sparserec-np")
    except SystemExit as end:
        if isinstance(end.code, int) and end.code > 128:
            # A signal has ended the command, which has cleaned up. The interpreter may take its time to end,
            # or wait for a thread that never will: a compiler's lock may have been left taken.
            with suppress(OSError, ValueError):
                sys.stdout.flush()
            os._exit(end.code)
        raise
    finally:
        if in_charge:
            signal.signal(signal.SIGINT, signal.SIG_IGN)
