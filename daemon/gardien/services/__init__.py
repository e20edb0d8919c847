"""The use cases: gather facts, ask the rules for a plan, hand it to the runner."""
