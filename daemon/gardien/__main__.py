"""`python -m gardien`, and `gardien`."""

import gc
import sys
from pathlib import Path

WHILE_LOADING = 20_000  # new objects between two searches for garbage: of what modules make, nearly all stays


def main() -> None:
    """What systemd starts needs no command line: it lives for months, without its modules."""
    match sys.argv[1:]:
        case ["--config", config, "run"]:
            gc.set_threshold(WHILE_LOADING)
            from gardien.app import run  # noqa: PLC0415

            raise SystemExit(run(Path(config)))
        case _:
            from gardien.faces.cli import main as command  # noqa: PLC0415

            command(prog_name="gardien")


if __name__ == "__main__":
    main()
