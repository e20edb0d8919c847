"""Pure functions: from facts to plans and verdicts. `now` is a parameter, never read."""
