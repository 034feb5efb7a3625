"""A broken promise of the runner, as text for people."""


class Violation(Exception):
    """An invariant that does not hold; the text names the run and the step."""
