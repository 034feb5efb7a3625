"""The cases of issue 13 that the gate does not pass yet, each with its reason.

A case that begins to pass makes the run fail until it is taken out of this list. `only` names the worlds in which a case fails:
"old" for an rclone below 1.67, "new" for others, and both without it.
"""

CHECKS = "point 7: a size is taken for a check where no hash is common"
PATIENCE = "point 6: ten tries of rclone within six seconds are all there is"

EXPECTED: dict[str, tuple[str, str | None]] = {
    "Nights.test_a_night_on_each_kind_of_account_is_green_and_tells_how_the_archive_was_checked": (
        "point 7 and 11: the output does not say yet which check was made",
        None,
    ),
    "Together.test_four_gates_renew_a_token_at_once_and_none_loses_it": (
        "four working copies show the same refresh token, and it is good once",
        "new",
    ),
    "Throttled.test_503_is_waited_out": (PATIENCE, None),
    "Outages.test_connections_that_are_dropped_at_once_are_waited_out": (PATIENCE, None),
    "Outages.test_a_failing_name_of_the_sign_in_is_waited_out": (PATIENCE, None),
    "Outages.test_an_outage_at_the_first_request_of_a_sync_is_waited_out": (PATIENCE, None),
    "EveryRequest.test_an_outage_at_any_request_is_waited_out": (PATIENCE, None),
    "BrokenLines.test_verifying_goes_on_over_a_line_that_breaks_twice": (
        "point 6: a broken read begins anew with rclone below 1.63",
        "old",
    ),
    "BrokenLines.test_restoring_goes_on_over_a_line_that_breaks_twice": (
        "point 6: a broken read begins anew with rclone below 1.63",
        "old",
    ),
    "BitsWithoutHash.test_an_archive_that_changes_on_its_way_is_sent_again_or_refused": (CHECKS, None),
    "BitsWithoutHash.test_a_manifest_that_changes_on_its_way_is_sent_again_or_refused": (CHECKS, None),
    "BitsWithoutHash.test_an_archive_that_changes_every_time_is_never_in_its_place": (CHECKS, None),
    "Encrypted.test_an_archive_that_changes_on_its_way_is_sent_again_or_refused": (CHECKS, None),
    "Bits.test_a_stored_manifest_with_a_flipped_bit_is_found_and_does_not_stop_a_restore": (
        "point 8: an unreadable manifest ends a restore",
        None,
    ),
    "BitsWithoutHash.test_a_stored_manifest_with_a_flipped_bit_is_found_and_does_not_stop_a_restore": (
        "point 8: an unreadable manifest ends a restore",
        None,
    ),
    "Incomplete.test_a_mirror_with_one_refused_file_keeps_the_rest_and_names_it": (
        "point 8: one refused file ends the restore of a mirror with 69",
        None,
    ),
    "Incomplete.test_a_manifest_that_cannot_be_read_is_a_warning": ("point 8: an unreadable manifest ends a restore", None),
}
