"""Start-up of the command line: seconds of --help, and of fit until its data are read.

python benchmarks/startup.py [--repeat 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import markdown, write_json

_PROGRAM = "from sparserec_np.cli import main; main(prog_name='sparserec-np')"


def seconds_of(arguments: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", _PROGRAM, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def seconds_until_read(data: Path) -> float:
    """Seconds until ``fit`` says what it has read: from then on it works on the mask."""
    start = time.perf_counter()
    command = [sys.executable, "-c", _PROGRAM, "fit", str(data), "--output", f"{data}.srec", "--force"]
    with subprocess.Popen(
        [*command, "--epochs", "1"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        seconds = time.perf_counter() - start
        process.stdout.read()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    from sparserec_np.data import make_interactions

    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.csv"
        pairs = make_interactions(500, 300, 10_000, random_state=0).user_items.tocoo()
        rows = zip(pairs.row.tolist(), pairs.col.tolist(), strict=True)
        data.write_text("user,item\n" + "".join(map("%d,%d\n".__mod__, rows)))
        seconds_until_read(data)  # compiles
        result = {
            "python -c pass": [_python() for _ in range(args.repeat)],
            "--help": [seconds_of(["--help"]) for _ in range(args.repeat)],
            "fit, until the data are read": [seconds_until_read(data) for _ in range(args.repeat)],
        }
    rows_shown = [(name, f"{min(taken):.2f}", f"{max(taken):.2f}") for name, taken in result.items()]
    print(markdown(("", "best s", "worst s"), rows_shown))
    write_json(args.json, result)


def _python() -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
