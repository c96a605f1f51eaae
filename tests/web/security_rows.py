"""What is promised about security, and the tests that show it.

A row is (id, promise, tests); `missing` says in plain words what of it is not built. The check in
test_security_rows.py wants every named test to exist; docs/security.md is this list, printed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """`tests` are lines: a path below tests/, under it the names of tests, a class's as Class::name."""

    id: str
    promise: str
    tests: str = ""
    missing: str = ""

    @property
    def named(self) -> Iterator[tuple[str, str]]:
        """(path, name) of each test."""
        path = ""
        for word in self.tests.split():
            if word.endswith(".py"):
                path = word
            else:
                yield path, word


PARTS: dict[str, tuple[Row, ...]] = {
    "Telephony": (
        Row(
            "TEL-1",
            "The daemon works with no Asterisk older than the first safe one; servers are installed by hash.",
            """
            adapters/test_ari_switch.py
                test_old_asterisk_is_refused_with_what_to_do
            adapters/test_ari_translate.py
                test_version_gate
            unit/test_dev_machine.py
                test_a_file_with_another_hash_is_refused
            """,
        ),
        Row(
            "TEL-2",
            "Of the started product, only the expected sockets listen, on loopback; no default "
            "password opens.",
            """
            system/test_started_stack.py
                test_only_the_expected_sockets_wait_and_only_on_loopback
            adapters/test_asterisk_edge.py
                test_ami_lets_nobody_else_in
                test_http_serves_ari_and_our_sockets_and_nothing_else
            """,
            missing="TLS between parts on different machines",
        ),
        Row(
            "TEL-3",
            "The manager's user can run, configure, load and originate nothing.",
            """
            adapters/test_asterisk_edge.py
                test_our_ami_user_may_run_configure_and_originate_nothing
            """,
        ),
        Row(
            "TEL-4",
            "No variable of ARI or AMI reaches a function that runs a program or reads a file.",
            """
            adapters/test_asterisk_edge.py
                test_ari_variables_call_no_function_that_runs_or_reads
                test_a_variable_set_by_ami_calls_no_function_that_runs_or_reads
            """,
        ),
        Row(
            "TEL-5",
            "Whatever a value is, one manager action leaves or none; none is sent again after a break.",
            """
            adapters/test_ami.py
                test_whatever_a_value_is_one_action_leaves_or_none
                test_hostile_values_are_refused
                test_unanswered_actions_are_not_repeated_after_a_reconnect
            """,
        ),
        Row(
            "TEL-6",
            "Ids in ARI's paths have one form; others are refused before anything leaves.",
            """
            adapters/test_ari_switch.py
                test_hostile_ids_never_leave
            adapters/test_ari_translate.py
                test_channel_of_a_strange_form_is_refused
            """,
        ),
        Row(
            "TEL-7",
            "The dialplan runs nothing, filters what is dialled, and hostile INVITEs start no leg and"
            " no process.",
            """
            unit/test_dialplan_checker.py
                test_what_is_shipped_is_clean
                test_a_bad_step_is_found
                test_open_patterns_are_refused_where_outsiders_enter
            unit/test_dialplan_compiler.py
                test_what_people_type_never_reaches_the_text
            adapters/test_asterisk_edge.py
                test_hostile_numbers_and_names_start_no_leg_and_no_process
            adapters/test_dialplan_asterisk.py
                test_unknown_numbers_and_sources_get_nowhere
            """,
        ),
        Row(
            "TEL-8",
            "Callers, phones and transfers reach no destination that costs money.",
            missing="transfers and outbound calls; phones dial nothing: their context is empty",
        ),
        Row(
            "TEL-9",
            "Outbound calls pass a toll policy, twice.",
            missing="the toll policy and outbound calls",
        ),
        Row(
            "TEL-10",
            "Guessing at SIP tells nothing about which phones there are; secrets are random, last a "
            "shift on a browser, and lie nowhere in the clear.",
            """
            adapters/test_asterisk_edge.py
                test_a_stranger_learns_nothing_about_which_phones_there_are
            adapters/test_ari_translate.py
                test_device_is_described_without_its_secret_and_marked_by_content
            realtime/test_desk.py
                test_a_shift_starts_with_fresh_credentials
            """,
            missing="banning an address that guesses",
        ),
        Row(
            "TEL-11",
            "Browsers' media is encrypted (DTLS-SRTP).",
            """
            system/test_one_call.py
                test_a_call_reaches_a_browser_and_is_remembered
            """,
            missing="TURN and its credentials",
        ),
        Row(
            "TEL-12",
            "Malformed SIP ends no call and keeps none out.",
            """
            adapters/test_asterisk_edge.py
                test_a_call_goes_on_through_malformed_sip_and_the_next_one_comes
            """,
            missing="a flood while twenty calls run, as a test",
        ),
        Row(
            "TEL-13",
            "A caller's name is text from the line to the screen, the row, the mail and the exported table.",
            """
            system/test_hostile.py
                test_a_hostile_name_is_text_from_the_line_to_the_row
                test_line_breaks_in_a_name_add_no_header_and_no_command
            system/test_ui_desk.py
                test_hostile_names_are_shown_as_text_and_nothing_runs
            adapters/test_ari_daemon.py
                test_hostile_name_and_number_reach_nobody_as_they_are
            realtime/test_desk.py
                test_hostile_names_are_only_text
            web/test_exports.py
                test_an_export_defuses_formulas_and_reads_in_again_as_it_was
            web/test_notifications.py
                test_a_hostile_title_stays_one_line_of_text_and_is_no_template
            """,
        ),
    ),
    "Tenancy": (
        Row(
            "TEN-1",
            "Nothing is read without a tenant chosen: no new connection, thread, task or socket has one.",
            """
            web/test_tenancy.py
                test_a_connection_starts_with_no_schema_and_refuses_every_statement
                test_a_new_thread_knows_no_tenant_even_while_another_has_one
                test_a_lazy_queryset_raises_once_outside
            web/test_mixed_tenants.py
                test_two_hundred_operations_of_two_tenants_at_once_leak_nothing
            """,
        ),
        Row(
            "TEN-2",
            "A pooler that shares sessions between tenants is refused or survived.",
            missing=(
                "a test behind a pooler; our own pool lies inside the process and gives a connection back"
                " unchosen"
            ),
        ),
        Row(
            "TEN-3",
            "A rolled back savepoint moves nobody to another tenant; the setting that would is refused.",
            """
            web/test_tenancy.py
                test_a_savepoints_rollback_does_not_move_the_search_path
                test_checks_refuse_what_would_open_tenancy
            web/test_tenancy_cursor.py
                test_path_and_statement_leave_in_one_message
                test_a_cursor_stays_where_it_was_made_whatever_is_set_in_between
            """,
        ),
        Row(
            "TEN-4",
            "A schema that is gone gives errors, never rows; no tenant's table name is in `public`.",
            """
            web/test_tenancy.py
                test_a_dropped_schema_gives_errors_and_never_rows
                test_no_tenant_table_is_in_public_and_one_put_there_is_found
            """,
        ),
        Row(
            "TEN-5",
            "Contexts nest right in every thread; the way that shares its memory is refused.",
            """
            web/test_tenancy.py
                test_with_tenant_is_refused
                test_threads_that_nest_contexts_always_see_their_own
                test_nothing_outside_the_tenants_package_chooses_schemas_by_other_means
            """,
        ),
        Row(
            "TEN-6",
            "What Django remembers for a whole process is the same in every tenant.",
            """
            web/test_tenancy.py
                test_a_model_has_one_content_type_whoever_asks_first
                test_checks_refuse_what_would_open_tenancy
            """,
        ),
        Row(
            "TEN-7",
            "A schema's name is made by us and has one form.",
            """
            web/test_tenancy.py
                test_only_generated_names_can_be_chosen
            web/test_tenants_provisioning.py
                test_the_slug_must_be_one
            web/test_platform_api.py
                test_what_cannot_be_a_tenant_is_refused_and_leaves_nothing
            """,
        ),
        Row(
            "TEN-8",
            "The Host header alone says whose data it is; no other header, parameter or field does.",
            """
            web/test_hostile_http.py
                test_only_the_host_header_says_whose_data_it_is
                test_a_host_that_is_nobodys_is_404
            web/test_tenancy.py
                test_an_unknown_or_malformed_host_is_404_as_a_problem
            web/test_bola.py
                test_a_session_token_or_key_of_one_organisation_proves_nothing_at_another
            """,
        ),
        Row(
            "TEN-9",
            "A cookie or token is of one host, and nothing on another's.",
            """
            web/test_identity.py
                test_a_session_of_one_tenant_is_nothing_on_anothers_host
                test_a_token_works_on_its_tenants_host_alone
            web/test_operations.py
                test_productions_cookies_belong_to_one_host_and_its_check_is_content
            """,
        ),
        Row(
            "TEN-10",
            "A task names its tenant as an argument and refuses to run without.",
            """
            web/test_mixed_tenants.py
                test_every_task_with_an_argument_takes_its_tenant_first
                test_a_task_that_names_no_tenant_refuses
                test_a_thousand_tasks_of_two_tenants_on_the_same_threads_stay_apart
            """,
        ),
        Row(
            "TEN-11",
            "Keys, paths, groups, streams and signed URLs carry their tenant.",
            """
            web/test_tenancy.py
                test_keys_carry_their_tenant_and_refuse_strange_parts
            web/test_api_throttles.py
                test_every_key_in_redis_names_its_tenant_and_ends
            web/test_mixed_tenants.py
                test_while_sockets_are_open_every_channel_group_names_its_tenant
            web/test_jobs.py
                test_a_signed_url_is_good_for_one_file_of_one_tenant
            web/test_documents_s3.py
                test_a_name_of_another_tenant_is_refused_before_the_bucket_is_asked
            """,
        ),
        Row(
            "TEN-12",
            "Another organisation's ids, in any path, query, body or message, find and move nothing.",
            """
            web/test_bola.py
                test_an_id_of_another_organisation_in_a_path_is_404_and_nothing_happens
                test_an_id_of_another_organisation_in_a_body_is_refused_as_if_it_were_nobodys
                test_an_id_of_another_organisation_in_a_query_finds_what_an_id_of_nobody_finds
                test_a_role_without_the_permission_is_refused_by_its_name_and_nothing_happens
            web/test_bola_sockets.py
                test_every_message_that_names_something_is_walked
                test_an_id_of_another_organisation_moves_nothing
            web/test_api_base.py
                test_every_route_has_its_row_and_one_without_does_not_start
            """,
        ),
        Row(
            "TEN-13",
            "The application's role changes no table and no history; the log shows one tenant at a time.",
            """
            web/test_tenancy.py
                test_the_applications_role_cannot_change_tables_or_history
            adapters/test_log_file.py
                test_the_application_sees_one_tenant_at_a_time
            web/test_operations.py
                test_the_daemon_may_read_numbers_and_nothing_of_tenants
            """,
            missing="a database role for each tenant",
        ),
    ),
    "Sockets": (
        Row(
            "SOC-1",
            "No token works in a query string or gets into a log; a socket's ticket opens once, at "
            "home, soon.",
            """
            system/test_started_stack.py
                test_no_secret_is_in_a_log_in_redis_or_in_a_processs_arguments
            realtime/test_door.py
                test_a_ticket_opens_once_and_only_at_home
            web/test_identity.py
                test_a_ticket_dies_after_its_seconds_and_redis_does_not_hold_it
                test_a_ticket_taken_by_many_at_once_is_given_to_one
            """,
        ),
        Row(
            "SOC-2",
            "A browser's socket comes from exactly its tenant's origin.",
            """
            realtime/test_door.py
                test_any_other_origin_is_refused_in_the_handshake
            system/test_hostile.py
                test_another_origin_is_refused_in_the_handshake
            """,
        ),
        Row(
            "SOC-3",
            "A client names no group; each socket and message asks for its permission.",
            """
            realtime/test_shapes.py
                test_group_names_take_only_tenant_ids
                test_every_message_has_a_row_in_the_permission_registry
            realtime/test_door.py
                test_each_socket_asks_for_its_permission
            realtime/test_desk.py
                test_two_tenants_see_nothing_of_each_other
            """,
        ),
        Row(
            "SOC-4",
            "Signing out, losing a role, being deactivated or suspended ends open sockets within five"
            " seconds.",
            """
            realtime/test_door.py
                test_signing_out_ends_the_socket
                test_losing_the_role_ends_the_socket
                test_a_deactivated_person_is_put_out
                test_rights_are_looked_at_again_without_being_told
            realtime/test_sign_ins.py
                test_a_new_password_a_lost_membership_and_another_role_end_sockets
            web/test_platform_api.py
                test_a_suspended_tenant_answers_nobody_closes_sockets_and_comes_back
            """,
            missing="listening in on calls",
        ),
        Row(
            "SOC-5",
            "Frames, rates, slow readers and sockets per person have limits, and others notice nothing.",
            """
            realtime/test_desk.py
                test_a_frame_that_is_too_big_ends_the_socket
                test_more_than_twenty_messages_at_once_are_refused
            realtime/test_feed.py
                test_a_slow_socket_is_resynced_and_the_second_time_closed
            realtime/test_door.py
                test_one_person_has_a_bounded_number_of_sockets
            system/test_hostile.py
                test_a_frame_that_is_too_big_ends_its_socket_and_no_other
                test_a_flood_is_throttled_and_the_socket_lives
                test_bad_frames_are_refused_counted_and_change_nothing
            """,
            missing="ten thousand sockets at once, as a test",
        ),
    ),
    "Signing in": (
        Row(
            "SIG-1",
            "Access tokens last minutes and say for whom, where and what; a refresh token used twice "
            "ends its family.",
            """
            web/test_hostile_http.py
                test_no_forged_token_opens_any_operation
                test_an_access_token_is_no_refresh_token_and_a_key_neither
            web/test_identity.py
                test_tricks_with_tokens_are_refused
                test_refresh_rotates_and_a_second_use_revokes_the_family
                test_of_two_refreshes_at_once_one_wins_and_the_family_falls
            """,
        ),
        Row(
            "SIG-2",
            "A new password, a lost membership or deactivation ends every session and token.",
            """
            web/test_identity.py
                test_a_new_password_or_deactivation_ends_every_session_and_token
            web/test_accounts_passwords.py
                test_a_change_needs_the_present_password_and_ends_every_sign_in
            web/test_identity.py
                test_losing_the_membership_or_the_role_is_felt_at_once
            """,
        ),
        Row(
            "SIG-3",
            "A second factor works once; a role may demand one; neither guessing nor a reset gets round it.",
            """
            web/test_accounts_mfa.py
                test_a_code_works_once_whoever_uses_it
                test_of_two_uses_of_one_code_at_once_one_wins
                test_a_recovery_code_works_once_and_only_its_hash_is_kept
                test_a_role_may_demand_a_factor_before_anything_else
                test_guessing_is_slowed_by_note_and_by_person_without_locking_the_owner_out
                test_a_new_password_by_mail_does_not_walk_around_the_factor
            """,
        ),
        Row(
            "SIG-4",
            "Guessing passwords is slowed without locking anybody out, and tells nothing about who exists.",
            """
            web/test_identity.py
                test_guessing_is_slowed_per_account_and_address_without_locking_the_owner_out
                test_one_address_cannot_try_many_accounts
                test_every_reason_not_to_sign_in_looks_the_same
            web/test_accounts_passwords.py
                test_the_time_of_a_refusal_says_nothing_about_who_exists
                test_common_and_short_passwords_are_refused_and_long_ones_taken
            """,
        ),
    ),
    "API": (
        Row(
            "API-1",
            "A key is shown once and stored nowhere; it has scopes, an end, and can make no other.",
            """
            web/test_api_keys.py
                test_nowhere_in_the_database_is_the_key_itself
                test_a_key_does_what_it_is_for_and_is_refused_the_rest_by_name
                test_no_key_can_have_what_would_let_it_grow
                test_an_ended_key_is_a_bad_token_at_once
            """,
        ),
        Row(
            "API-2",
            "Requests have limits per person, key, address and organisation; without Redis nothing is"
            " dialled.",
            """
            web/test_api_throttles.py
                test_every_answer_says_what_is_left_and_the_last_says_when_to_come_back
                test_each_bucket_counts_by_itself
                test_without_redis_nothing_is_originated
                test_who_is_not_signed_in_is_counted_by_address_and_a_forged_header_changes_nothing
            """,
        ),
        Row(
            "API-3",
            "A body takes the fields that it has and no other.",
            """
            web/test_hostile_http.py
                test_no_body_takes_a_field_that_it_does_not_have
                test_no_serializer_names_all_fields
            """,
        ),
        Row(
            "API-4",
            "Filters and sorts are lists of what is allowed; text is data in every query.",
            """
            web/test_hostile_http.py
                test_every_list_refuses_every_parameter_that_it_does_not_know
                test_a_search_takes_text_as_text
            web/test_api_fields.py
                test_nobody_filters_or_sorts_by_what_they_may_not_read
            """,
        ),
        Row(
            "API-5",
            "Webhooks go to public addresses only, asked for once and kept to, without redirects, in "
            "bounded time.",
            """
            web/test_egress.py
                test_hostile_targets_are_refused_before_anything_is_asked
                test_a_public_name_that_leads_inside_is_refused_even_among_good_addresses
                test_the_socket_itself_refuses_an_address_that_was_not_checked
                test_redirects_are_not_followed
                test_who_is_slow_or_endless_is_cut_off
            web/test_webhooks.py
                test_a_url_that_leads_inside_later_is_not_called
            """,
        ),
        Row(
            "API-6",
            "Messages from providers are taken when signed, fresh and new.",
            missing="providers of SMS, chat and mail",
        ),
        Row(
            "API-7",
            "Every answer binds the browser; a forged address reaches neither a limit nor the audit trail.",
            """
            web/test_hostile_http.py
                test_every_answer_carries_the_headers_that_bind_a_browser
                test_a_forged_address_reaches_neither_the_audit_trail_nor_a_limit
            web/test_api_base.py
                test_answers_carry_security_headers_and_data_is_not_stored
            """,
        ),
        Row(
            "API-8",
            "Production debugs nothing, lists nothing, and a failure tells its request's id alone.",
            """
            web/test_hostile_http.py
                test_production_debugs_nothing_and_the_admin_is_on_no_tenants_host
                test_a_failure_of_ours_says_nothing_but_its_request
            web/test_operations.py
                test_production_does_not_start_without_its_secrets
            web/test_demo.py
                test_it_is_refused_in_production
            """,
        ),
    ),
    "Data": (
        Row(
            "DAT-1",
            "Card numbers are in no recording, event or log.",
            missing="recordings and payments",
        ),
        Row(
            "DAT-2",
            "A recording is sealed with a key of its own.",
            missing="recordings",
        ),
        Row(
            "DAT-3",
            "A file is handed out to whom it may be at that moment, by a link that ends; each time is"
            " on record.",
            """
            web/test_documents.py
                test_a_link_works_without_a_cookie_for_its_version_and_its_person_only
                test_who_may_see_whose_document
            web/test_documents_s3.py
                test_a_link_ends_with_its_time_and_is_its_tenants_alone
            web/test_jobs.py
                test_paths_are_made_of_ids_and_plain_words_only
            """,
            missing="recordings",
        ),
        Row(
            "DAT-4",
            "An erased person is in no row, file, bucket, log or Redis, also after a restore; a hold "
            "stops it.",
            """
            web/test_erasure.py
                test_nothing_of_an_erased_person_is_left_anywhere
                test_a_legal_hold_stops_an_erasure_and_names_its_reason
            web/test_backup.py
                test_who_was_erased_since_stays_erased
            web/test_documents_s3.py
                test_an_erasure_leaves_no_version_in_the_bucket
                TestBackup::test_who_was_erased_since_stays_erased_in_the_bucket
            """,
            missing="retention of recordings",
        ),
        Row(
            "DAT-5",
            "An upload is judged by its content, has limits, a name of ours, and comes back as an "
            "attachment in a sandbox.",
            """
            web/test_documents.py
                test_a_hostile_file_is_refused_by_its_content_and_nothing_stays
                test_a_file_goes_in_and_comes_out_as_it_was
                test_nothing_is_handed_out_before_the_scanner_has_passed_it
                test_too_large_is_said_before_anything_is_kept
            web/test_platform_api.py
                test_limits_stop_the_next_person_and_the_next_file
            web/test_documents_s3.py
                test_what_lies_in_the_bucket_counts_against_the_limit
            """,
        ),
        Row(
            "DAT-6",
            "The audit trail only grows; a row that was changed, removed or moved is named.",
            """
            web/test_audit_seals.py
                test_the_applications_role_can_neither_change_nor_remove
                test_an_altered_row_is_named
                test_a_removed_row_is_named_also_the_first_and_the_last
                test_two_rows_that_changed_places_are_named
                test_a_chain_that_was_written_anew_contradicts_its_anchor
            """,
        ),
        Row(
            "DAT-7",
            "Secrets are in no log, metric, process argument, Redis key or error.",
            """
            system/test_started_stack.py
                test_no_secret_is_in_a_log_in_redis_or_in_a_processs_arguments
            unit/test_sealing.py
                test_nothing_secret_is_shown
            unit/test_shell_parts.py
                test_settings_are_read_and_keep_their_secrets
            web/test_api_base.py
                test_log_lines_lose_what_could_be_personal
            web/test_documents_s3.py
                test_credentials_that_are_refused_are_503_and_told_to_the_log_alone
            """,
            missing="changing the passwords of ARI, AMI and the databases without a restart",
        ),
        Row(
            "DAT-8",
            "What comes from Redis is data: a pickled message runs nothing.",
            """
            web/test_mixed_tenants.py
                test_a_pickled_message_is_refused_and_the_worker_goes_on
            realtime/test_layer.py
                test_a_pickled_message_runs_nothing
            unit/test_codec.py
                test_another_key_and_an_unknown_ask_are_refused
            """,
            missing="a Redis user for each service",
        ),
        Row(
            "DAT-9",
            "Packages are pinned and hashed, Python's and the servers'.",
            """
            unit/test_locks.py
                test_every_package_is_pinned_and_hashed_and_comes_from_no_named_place
                test_the_locks_agree_with_each_other_and_have_what_is_asked_for
            unit/test_dev_machine.py
                test_lock_files_are_whole_and_name_no_host
            """,
            missing="an audit against known weaknesses and a bill of materials in each build",
        ),
    ),
}
