"""The catalogue's lines that are built so far: each clause has a test of its name."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
INTAKE = {
    "dup-update-id: handled once": ("dup_update_id_is_handled_once",),
    "dup-viber-token, also across a restart: once": (
        "dup_viber_token_is_handled_once",
        "dup_viber_token_across_a_restart_is_handled_once",
    ),
    "out-of-order ids: order kept within a conversation": ("out_of_order_ids_keep_the_order",),
    "random id after a quiet week: accepted": ("random_id_after_a_quiet_week_is_accepted",),
    "an update without a date, with date 10^18, with an entity without offset, of an unknown "
    "kind: set aside or ignored, the next good one is answered within 1 s": (
        "an_update_without_a_date_with_date_10_18_with_an_entity_without_offset_or_unknown",
        "a_hundred_thousand_malformed_updates_and_the_next_good_one_is_answered_within_1_s",
    ),
    "update without id: dropped, counted": ("update_without_id_is_dropped_and_counted",),
    "200 KB of nested JSON: refused": ("200_kb_of_nested_json_is_refused",),
    "invalid UTF-8, null, an array where an object belongs: 400, no traceback": (
        "invalid_utf_8_null_or_an_array_where_an_object_belongs_is_400_without_a_traceback",
    ),
    "Viber event of an unknown kind: 200, ignored": ("viber_event_of_an_unknown_kind_is_taken",),
    "signature wrong, missing, empty: 403, nothing written": (
        "signature_wrong_missing_or_empty_is_403_and_nothing_written",
    ),
    "replayed signed body: no effect": ("a_replayed_signed_body_has_no_effect",),
    "a second poller (409): stand by, nothing lost": (
        "a_second_poller_stands_by_and_nothing_is_lost",
    ),
    "a tap delivered hours late: the cover, not content": (
        "a_tap_delivered_hours_late_opens_the_cover",
    ),
    "the bot added to a group: leaves": ("the_bot_added_to_a_group_leaves",),
    "HTML where JSON belongs: back off and go on": (
        "html_where_json_belongs_and_other_failures_back_off_and_go_on",
    ),
}
CRASH_AND_NETWORK = {
    "killed after fetch: handled again": ("killed_after_fetch_it_is_handled_again",),
    "killed after commit, before acknowledging: once": (
        "killed_after_commit_before_acknowledging_it_is_handled_once",
    ),
    "killed during a send, and answer lost after a send: the policy of its class": (
        "killed_during_a_send_the_desk_decides",
        "answer_lost_after_a_send_the_desk_decides",
        "answer_lost_after_a_window_edit_it_is_made_again",
    ),
    "429 with retry_after: no send in that scope until then": (
        "429_with_retry_after_stops_that_chat_until_then_and_no_other",
    ),
    "502 for ten minutes: nothing lost silently": ("502_for_ten_minutes_nothing_is_lost_silently",),
    "answer that drips: time-out, others flow": ("an_answer_that_drips_times_out_and_others_flow",),
    "no DNS for 20 minutes: drains in order": ("no_dns_for_20_minutes_drains_in_order",),
    "disk full, database locked for 30 s: not acknowledged, recovers": (
        "disk_full_nothing_is_acknowledged",
        "database_locked_nothing_is_acknowledged",
    ),
    "truncated write-ahead log: what was committed is there": (
        "truncated_write_ahead_log_what_was_committed_is_there",
    ),
    "lease runs out during a send: the old worker is fenced off": (
        "lease_runs_out_during_a_send_the_old_worker_is_fenced_off",
    ),
    "SIGTERM under load: out within 10 s": ("sigterm_under_load_is_out_within_ten_seconds",),
    "PostgreSQL goes away and comes back: nothing committed is lost": (
        "postgresql_goes_away_and_comes_back_nothing_committed_is_lost",
    ),
    "forum group gets a new id: followed": ("forum_group_gets_a_new_id_followed",),
    "topic deleted by hand: a new one, never the General topic": (
        "topic_deleted_by_hand_a_new_one_never_the_general_topic",
    ),
    "clock set back an hour, DST gap and overlap: one reminder, at the right local time": (
        "one_reminder_at_the_right_local_time_though_the_clocks_change",
        "a_clock_set_back_an_hour_brings_nothing_twice",
    ),
    "broadcast killed part-way: resumes, no recipient twice": (
        "killed_three_times_and_stopped_once_it_goes_on_and_nobody_is_rung_twice",
    ),
}
BROADCASTS_AND_REMINDERS = {
    "proposer approves own broadcast: refused": ("who_proposed_it_cannot_approve_it",),
    "text changed after approval: approval void": (
        "changed_words_or_half_an_hour_make_an_approval_void",
    ),
    "she blocks the bot: purged, no more sends": (
        "who_blocked_the_line_loses_her_reminders_and_her_case",
    ),
    "reminder outside her hours: held": (
        "nothing_is_due_outside_her_hours",
        "a_reminder_that_missed_her_hours_comes_in_the_next",
    ),
    "a staff page never names a group smaller than 10": (
        "no_choice_of_whom_it_is_for_adds_small_groups_to_one_that_is_counted",
        "no_rate_and_no_time_left_tells_how_many_a_small_group_is",
        "staff_see_how_many_wait_for_a_reception_in_tens",
    ),
}
FILES = {
    "an .ics that is broken, recurring without end, in a vendor's time zone, with overrides: as "
    "RFC 5545 says, or refused by name": (
        "a_file_that_cannot_be_read_is_refused",
        "a_mistake_is_named_by_line_and_property",
        "a_series_without_end_is_taken_for_half_a_year_and_goes_on_with_the_next_import",
        "a_time_is_meant_in_its_zone",
        "each_time_of_a_series_is_a_reception_under_a_name_of_its_own",
        "every_mistake_of_a_calendar_is_named_by_its_line_and_nothing_is_imported",
    ),
}
CLAUSES = INTAKE | CRASH_AND_NETWORK | BROADCASTS_AND_REMINDERS | FILES


@cache
def sources() -> dict[str, str]:
    """Every test by its name, as it is written, with what marks it or its whole file."""
    found: dict[str, str] = {}
    for path in TESTS.rglob("test_*.py"):
        text = path.read_text("utf-8")
        module = ast.parse(text)
        marked = [ast.unparse(each) for each in module.body if isinstance(each, ast.Assign)]
        about = "\n".join(line for line in marked if line.startswith("pytestmark"))
        for each in module.body:
            if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef):
                found[each.name] = f"{about}\n{ast.unparse(each)}"
    return found


@pytest.mark.parametrize("clause", CLAUSES)
def test_each_clause_has_a_test_of_its_name_that_is_never_skipped(clause: str) -> None:
    for name in CLAUSES[clause]:
        found = [text for test, text in sources().items() if test.startswith(f"test_{name}")]
        assert found, f"no test is named test_{name}"
        assert not [text for text in found if re.search(r"\b(skip|skipif|xfail)\b", text)]
