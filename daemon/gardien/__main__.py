"""`python -m gardien`."""

from gardien.faces.cli import main

main(prog_name="gardien")
