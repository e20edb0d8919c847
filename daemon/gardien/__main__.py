"""`python -m gardien`, and `gardien`."""

import sys
from pathlib import Path


def main() -> None:
    """What systemd starts needs no command line: it lives for months, without its modules."""
    match sys.argv[1:]:
        case ["--config", config, "run"]:
            from gardien.app import run  # noqa: PLC0415

            raise SystemExit(run(Path(config)))
        case _:
            from gardien.faces.cli import main as command  # noqa: PLC0415

            command(prog_name="gardien")


if __name__ == "__main__":
    main()
