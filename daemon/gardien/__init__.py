"""gardien: caretaker of a small practice's own server."""

__version__ = "0.1.0"
