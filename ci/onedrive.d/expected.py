"""The cases that the gate does not pass yet, each with its reason.

A case that begins to pass makes the run fail until it is taken out of this list. `only` names the worlds in which a case fails:
"old" for an rclone below 1.67, "new" for others, and both without it.
"""

EXPECTED: dict[str, tuple[str, str | None]] = {
    "Together.test_four_gates_renew_a_token_at_once_and_none_loses_it": (
        "four working copies show the same refresh token, and it is good once",
        "new",
    ),
}
