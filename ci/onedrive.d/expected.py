"""The cases that the gate does not pass yet, each with its reason.

A case that begins to pass makes the run fail until it is taken out of this list. `only` names the worlds in which a case fails:
"old" for an rclone below 1.67, "new" for others, and both without it.
"""

EXPECTED: dict[str, tuple[str, str | None]] = {}
