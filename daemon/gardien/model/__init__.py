"""Frozen values: what gardien speaks about. No I/O, no clock."""
