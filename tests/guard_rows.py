"""What `tests.guards` cuts: a guard's name, its file, the text and what stands there without it, its tests.

A text must occur once in its file. Choose the few tests that tell the guard's story; where two guards stand
behind one another on purpose, one row cuts both.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    name: str
    file: str
    cuts: tuple[tuple[str, str], ...]
    tests: tuple[str, ...]
    """pytest node ids, relative to `tests/`."""


def _row(name: str, file: str, before: str, after: str, tests: str, *more: tuple[str, str]) -> Row:
    """`tests` is `file::name name …`, relative to tests/; `more` are further cuts in the same file."""
    path, _, names = tests.partition("::")
    found = tuple(f"tests/{path}::{each}" for each in names.split()) or (f"tests/{path}",)
    return Row(name, file, ((before, after), *more), found)


_LOG = "telephony/adapters/log/"
_FILE = "adapters/test_log_file.py::"
_OWNERS = "adapters/test_log_owners.py::"
_TRANSIT = "adapters/test_transit.py::"
_SEGMENT = "adapters/test_log_segment.py::"
_KEPT = "adapters/test_log_guards.py::"
_ARI = "telephony/adapters/ari/"
_SHELL = "telephony/shell/"
_CALLS = "web/tenant/calls/"
_PARTS = "unit/test_shell_parts.py::"
_ASKED = "if not await self._journal.still_ours(EPOCH_SECONDS):\n            "

LOG = (
    _row("owner-for-share", f"{_LOG}statements.py", "WHERE shard = %s FOR SHARE\n)", "WHERE shard = %s\n)",
         f"{_OWNERS}test_nobody_takes_the_epoch_in_the_middle_of_a_commit[_positions]"),
    _row("fence-for-share", f"{_LOG}statements.py", "WHERE shard = %s FOR SHARE\"", "WHERE shard = %s\"",
         f"{_OWNERS}test_nobody_takes_the_epoch_in_the_middle_of_a_commit[_fence]"),
    _row("commit-epoch", f"{_LOG}postgres.py",
         "self._same_epoch(found, epoch)\n        return dict(", "return dict(",
         f"{_OWNERS}test_nobody_takes_the_epoch_in_the_middle_of_a_commit "
         "test_a_fenced_writer_writes_nothing"),
    _row("checkpoint-epoch", f"{_LOG}postgres.py",
         "await self._fence(epoch)\n            await self._do(statements.KEEP_CHECKPOINT",
         "await self._do(statements.KEEP_CHECKPOINT",
         f"{_KEPT}test_a_fenced_writer_keeps_no_checkpoint"),
    _row("transit-epoch", f"{_LOG}postgres.py",
         "await self._fence(epoch)\n            await self._do(statements.KEEP_TRANSIT_KEYS",
         "await self._do(statements.KEEP_TRANSIT_KEYS",
         f"{_TRANSIT}test_a_daemon_without_the_epoch_destroys_no_key"),
    _row("transit-until-passed", f"{_LOG}transit.py", "passed >= held.until and ", "",
         f"{_TRANSIT}test_a_key_waits_for_the_follower_and_then_for_those_who_read_along"),
    _row("transit-until-read", f"{_LOG}transit.py", " and time.time() >= held.ended + self._period", "",
         f"{_TRANSIT}test_a_key_waits_for_the_follower_and_then_for_those_who_read_along"),
    _row("transit-half-written", f"{_LOG}transit.py", "beside.unlink()", "pass",
         f"{_TRANSIT}test_a_write_that_was_killed_leaves_no_copy_of_keys"),
    _row("transit-set-aside", f"{_LOG}claim.py",
         "(local.directory / transit.FILE).unlink(missing_ok=True)", "pass",
         f"{_TRANSIT}test_another_life_of_the_shard_is_unreadable_at_once_there_and_soon_here"),
    _row("checkpoint-older", f"{_LOG}statements.py", "WHERE c.seq <= excluded.seq", "",
         f"{_KEPT}test_an_older_checkpoint_never_replaces_a_newer"),
    _row("provisional-epoch", f"{_LOG}statements.py", "WHERE o.epoch < excluded.epoch", "",
         f"{_OWNERS}test_a_provisional_owner_yields_to_a_newer_one"),
    _row("foreign-directory", f"{_LOG}claim.py",
         "if owner is not None and owner[1] != identity.directory and segments.end > segments.start:",
         "if False:", f"{_OWNERS}test_a_provisional_owner_yields_to_a_newer_one"),
    _row("unique-tenant-seq", "web/shared/core/migrations/0002_log.py",
         "    PRIMARY KEY (tenant, seq, day),\n",
         "", f"{_KEPT}test_a_fact_that_is_there_before_its_time_stops_the_writer"),
    _row("facts-before-their-time", f"{_LOG}postgres.py", "if written != len(entries):", "if False:",
         f"{_KEPT}test_a_fact_that_is_there_before_its_time_stops_the_writer"),
    _row("equal-facts", f"{_LOG}postgres.py", "if rows[0][0] != len(entries):", "if False:",
         f"{_OWNERS}test_another_writer_of_the_same_numbers_is_told_apart"),
    _row("hole-in-the-log", f"{_LOG}postgres.py", "if entry.seq != expected:", "if False:",
         f"{_OWNERS}test_no_hole_is_written"),
    _row("position-lock", f"{_LOG}statements.py", "ORDER BY tenant FOR UPDATE", "ORDER BY tenant",
         f"{_KEPT}test_a_commit_waits_for_one_of_unknown_outcome"),
    _row("append-order", f"{_LOG}log.py", "if entry.seq != before + 1 or entry.epoch != self.epoch:",
         "if False:", f"{_FILE}TestPort::test_order_and_epoch_are_checked_before_anything_is_written[file]"),
    _row("append-fenced", f"{_LOG}log.py", "self._raise_if_fenced()\n        group", "group",
         f"{_OWNERS}test_a_fenced_writer_writes_nothing"),
    _row("committed-waits-for-the-disk", f"{_LOG}log.py",
         "return self.away and self.segments.synced >= written",
         "return self.away", f"{_KEPT}test_without_postgres_an_answer_waits_for_the_disk"),
    _row("committed-says-pending-on-disk", f"{_LOG}log.py", "if self.segments.synced >= written:", "if True:",
         f"{_KEPT}test_without_postgres_an_answer_waits_for_the_disk"),
    _row("database-forgot", f"{_LOG}log.py", 'self._tails["postgres"].position = await',
         "await", f"{_FILE}test_a_database_that_lost_its_last_commits_gets_them_again"),
    _row("unfilled-hole", f"{_LOG}recovery.py", "if view.seq < upto:", "if False:",
         f"{_FILE}test_a_hole_that_nobody_fills_is_refused"),
    _row("files-until-covered", f"{_LOG}log.py", "[self.segments.synced, *self._uncovered.values()]",
         "[self.segments.synced]", f"{_FILE}test_files_are_kept_until_everybody_passed_and_then_deleted"),
    _row("erased-stays-erased", f"{_LOG}statements.py",
         "AS t (tenant, party, key, sealed, digest)\nON CONFLICT DO NOTHING",
         "AS t (tenant, party, key, sealed, digest)\nON CONFLICT (tenant, party) DO UPDATE "
         "SET key = excluded.key, sealed = excluded.sealed, digest = excluded.digest, erased = NULL",
         f"{_FILE}test_an_erased_party_stays_erased_when_its_commit_comes_again"),
    _row("rows-of-one-tenant", "web/shared/core/migrations/0002_log.py", "ENABLE ROW LEVEL SECURITY",
         "DISABLE ROW LEVEL SECURITY", f"{_FILE}test_the_application_sees_one_tenant_at_a_time"),
    _row("insert-only", "web/shared/core/migrations/0002_log.py", "GRANT SELECT, INSERT ON public.log_fact",
         "GRANT SELECT, INSERT, UPDATE, DELETE ON public.log_fact",
         f"{_FILE}test_nobody_changes_or_deletes_a_fact"),
    _row("directory-lock", f"{_LOG}segment.py", "fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)", "pass",
         f"{_SEGMENT}test_one_process_per_directory"),
    _row("torn-tail", f"{_LOG}segment.py", "self._cut_from(index, place)", "pass",
         f"{_SEGMENT}test_a_tail_cut_anywhere_leaves_whole_groups"),
    _row("damage-is-no-tear", f"{_LOG}segment.py", "if place < known:", "if False:",
         f"{_SEGMENT}test_damage_of_what_was_on_the_disk_is_refused"),
    _row("record-checksum", f"{_LOG}records.py", "checksum != _sum(kind, payload) or ", "",
         f"{_SEGMENT}test_a_torn_tail_of_zeroes_or_garbage_is_cut "
         "test_unpack_waits_for_more_and_stops_at_rubbish"),
    _row("full-disk", f"{_LOG}segment.py", "os.ftruncate(self._file, self.end - self._starts[-1])", "pass",
         f"{_SEGMENT}test_a_full_disk_leaves_no_part_of_a_group"),
)  # fmt: skip

SHELL = (
    _row("log-before-commands", f"{_SHELL}runtime.py",
         "            self._log.append(entries, self._parties_of(entries))\n", "",
         "unit/test_shell_runtime.py::test_facts_are_in_the_log_before_commands_leave "
         "test_refusing_log_stops_everything_before_a_command_leaves",
         ("            self._submit(commands)\n", "            self._submit(commands)\n"
          "        if entries:\n            self._log.append(entries, self._parties_of(entries))\n")),
    _row("door-stall", f"{_SHELL}door.py", "if stood > STALL_SECONDS:", "if False:",
         f"{_PARTS}test_door_notices_a_stall_before_anything_else_happens"),
    _row("door-before-a-command", f"{_SHELL}executor.py", "await self._door.passage()",
         "await asyncio.sleep(0)",
         f"{_PARTS}test_nothing_leaves_through_a_closed_door"),
    _row("door-on-replaced", f"{_SHELL}watch.py",
         "self._door.close(self._away)\n        self._runtime.pause_offers()\n        log.error(",
         "log.error(",
         "unit/test_shell_watch.py::test_who_is_replaced_stands_still_until_the_epoch_was_asked"),
    _row("epoch-on-replaced", f"{_SHELL}watch.py",
         f'{_ASKED}raise Fenced("another daemon owns',
         'if False:\n            raise Fenced("another daemon owns',
         "unit/test_shell_watch.py::test_who_is_replaced_by_a_newer_epoch_ends"),
    _row("ping-after-a-stall", f"{_SHELL}watch.py",
         "await self._switch.ping()\n                await self._runtime.drained()\n                break",
         "break",
         "unit/test_shell_watch.py::test_after_a_stall_a_ping_comes_first_then_what_was_before_it"),
    _row("epoch-after-a-stall", f"{_SHELL}watch.py",
         f'{_ASKED}raise Fenced("another daemon took',
         'if False:\n            raise Fenced("another daemon took',
         "unit/test_shell_watch.py::test_after_a_stall_the_epoch_is_asked"),
    _row("lease-behind-the-door", f"{_SHELL}lease.py", "if not (watch.up and door.check()):",
         "if not watch.up:",
         "unit/test_shell_watch.py::test_no_lease_is_renewed_behind_a_closed_door"),
    _row("absence-twice", f"{_SHELL}reconcile.py", "if self._moment - since >= CONFIRM_SECONDS:", "if True:",
         "unit/test_shell_reconcile.py::test_absence_counts_only_the_second_time_a_second_later"),
    _row("busy-calls-left-alone", f"{_SHELL}reconcile.py", "if self._busy(call.call):", "if False:",
         "unit/test_shell_reconcile.py::test_call_with_commands_on_their_way_is_left_alone"),
    _row("tombstone-no-newcomer", f"{_SHELL}reconcile.py", " or self._directory.ended(channel)", "",
         "unit/test_shell_reconcile.py::test_caller_whose_call_has_just_ended_is_no_newcomer"),
    _row("sounding-leg-left-alone", f"{_SHELL}lost.py", "if after == before:", "if True:",
         "unit/test_shell_lost.py::test_leg_that_sends_is_left_alone_after_a_few_looks"),
    _row("only-browsers-looked-at", f"{_SHELL}lost.py", " or phone.kind is not DeviceKind.BROWSER", "",
         "unit/test_shell_lost.py::test_who_is_not_in_a_call_on_a_browser_here_is_not_looked_at"),
    _row("tombstone-found", f"{_SHELL}directory.py", "if live is None and call in self._ended:", "if False:",
         f"{_PARTS}test_ended_call_is_a_tombstone_for_a_minute"),
    _row("ring-overtaken", f"{_SHELL}executor.py", "if not self._wanted(command):", "if False:",
         f"{_PARTS}test_ring_whose_offer_is_over_is_not_sent"),
    _row("made-already-is-done", f"{_ARI}commands.py", "_OR_THERE = _FINE | {409}", "_OR_THERE = _FINE",
         "adapters/test_ari_switch.py::test_bridge_made_twice_is_made_once[fake] "
         "test_leg_ordered_twice_is_made_once"),
    _row("gone-already-is-done", f"{_ARI}commands.py", "_OR_GONE = _FINE | {404}", "_OR_GONE = _FINE",
         "adapters/test_ari_switch.py::test_ending_what_is_gone_is_done[fake]"),
    _row("leg-not-entered-yet", f"{_ARI}switch.py",
         "if not (request.needs_entry and status == 409 and commands.NOT_ENTERED in body):", "if True:",
         "adapters/test_ari_switch.py::test_leg_that_has_not_entered_yet_is_dialled_again"),
    _row("hostile-channel", f"{_ARI}commands.py", "if not _CHANNEL.fullmatch(text):", "if False:",
         "adapters/test_ari_translate.py::test_channel_of_a_strange_form_is_refused"),
    _row("provisioned-once", f"{_ARI}switch.py", "if await self._mark(wanted.name) == wanted.mark:",
         "if False:",
         "adapters/test_ari_switch.py::test_device_is_written_once_and_withdrawn[fake]"),
    _row("provisioning-hash", f"{_ARI}provision.py", "json.dumps([auth, aor, fields], sort_keys=True)",
         "name",
         "adapters/test_ari_translate.py::test_device_is_described_without_its_secret_and_marked_by_content"),
    _row("ask-seal", "telephony/codec.py", "if not hmac.compare_digest(wire.mac, _mac(wire, key)):",
         "if False:",
         "unit/test_codec.py::test_a_sealed_ask_cannot_be_changed "
         "test_another_key_and_an_unknown_ask_are_refused"),
    _row("ask-on-anothers-stream", "telephony/adapters/bus/redis.py", "if envelope.tenant != tenant:",
         "if False:",
         "adapters/test_bus.py::TestAsks::test_what_does_not_fit_is_dropped_and_the_rest_goes_on"),
    _row("ask-expiry", "telephony/engine/asking.py", "if envelope.expires < turn.now:", "if False:",
         "unit/test_engine_agents.py::test_a_late_ask_is_refused_and_an_expired_repetition_is_not"),
    _row("same-ask-twice", "telephony/engine/asking.py", "if known is not None:", "if False:",
         "unit/test_engine_agents.py::test_an_ask_acts_once_also_after_a_restart "
         "test_a_refused_ask_stays_refused"),
    _row("same-ask-after-a-restart", "telephony/engine/asking.py", "if envelope.id in turn.view.asks:",
         "if False:", "unit/test_engine_agents.py::test_an_ask_acts_once_also_after_a_restart"),
    _row("first-arrival-order", "telephony/engine/waiting.py",
         "min(event.first_arrival, turn.now) if event.first_arrival > 0 else turn.now", "turn.now",
         "unit/test_engine_arrival.py::test_an_adopted_caller_keeps_the_old_place"),
)  # fmt: skip

DIALPLAN = (
    _row("lease-gate", "dialplan/static/extensions.conf", "GotoIf($[${MURIMA_SEEN} > ${EPOCH}]?enter)",
         "Goto(enter)", "adapters/test_dialplan_asterisk.py::"
         "test_a_caller_of_a_hanging_daemon_is_diverted_and_the_next_one_at_once"),
    # Whoever comes back enters behind the place where the arrival is set, which also looks whether it is.
    _row("first-arrival-kept", "dialplan/static/extensions.conf", ":${MURIMA_ARRIVED})})",
         ":${STRFTIME(,UTC,%s.%6q)})})", "adapters/test_dialplan_asterisk.py::"
         "test_a_caller_nobody_looks_after_comes_back_by_itself_with_the_old_arrival",
         ('"${MURIMA_TRIAL}" = ""]?s,gate)', '"${MURIMA_TRIAL}" = ""]?s,1)')),
    _row("dead-mans-time-out", "dialplan/static/extensions.conf", "Set(TIMEOUT(absolute)=10)",
         "Set(TIMEOUT(absolute)=0)",
         "adapters/test_dialplan_asterisk.py::test_a_caller_enters_with_a_time_out_of_their_own"),
)  # fmt: skip

_FEED = "realtime/test_feed.py::"

REALTIME = (
    _row("gap-read", "realtime/feed.py", "if entry.seq > seq + 1:", "if False:",
         f"{_FEED}test_a_hole_is_read_from_the_log_once_it_is_there"),
    _row("lost-branch", "realtime/feed.py", "if entry.epoch > epoch and entry.seq <= seq:", "if False:",
         f"{_FEED}test_a_writer_whose_last_entries_were_lost_is_forgotten"),
    _row("epoch-resync", "realtime/feed.py", "if turned:\n", "if False:\n",
         f"{_FEED}test_a_new_epoch_that_continues_resyncs_and_loses_nothing"),
    _row("fenced-entries", "realtime/feed.py", "if entry.epoch < epoch:", "if False:",
         f"{_FEED}test_entries_of_a_fenced_writer_are_dropped"),
    _row("heartbeat-names-a-hole", "realtime/feed.py", "elif time.monotonic() >= by:", "elif False:",
         f"{_FEED}test_a_heartbeat_shows_what_the_stream_never_brought"),
    _row("redis-back-resync", "realtime/feed.py", 'if self._away and now == "live":', "if False:",
         f"{_FEED}test_redis_gone_is_offline_and_back_is_a_resync"),
    _row("overflow-resync", "realtime/outbox.py", "self._overflowed_at = now\n        self.resync()",
         "self._overflowed_at = now", f"{_FEED}test_a_slow_socket_is_resynced_and_the_second_time_closed"),
    _row("exact-origin", "realtime/auth.py", 'any(origin == f"{scheme}://{host}"',
         'any(origin.startswith(f"{scheme}://{host}")',
         "realtime/test_door.py::test_any_other_origin_is_refused_in_the_handshake"),
    _row("cookie-needs-an-origin", "realtime/auth.py",
         "if not origin_fits(origin, host) and not (ticket is not None and not origin):",
         "if origin and not origin_fits(origin, host):",
         "realtime/test_door.py::test_any_other_origin_is_refused_in_the_handshake"),
)  # fmt: skip

_IDENTITY = "web/test_identity.py::"
_TENANCY = "web/test_tenancy.py::"
_CONTACTS = "web/test_api_base.py::TestContactsAsAnExample::"

WEB = (
    _row("ticket-once", "web/shared/accounts/tickets.py", ".getdel(", ".get(",
         f"{_IDENTITY}test_a_ticket_opens_once_for_its_person_and_tenant"),
    _row("ticket-of-its-tenant", "web/shared/accounts/tickets.py", 'redis_key(tenant_id, "ticket"',
         'redis_key("t_000000000000", "ticket"',
         f"{_IDENTITY}test_a_ticket_opens_once_for_its_person_and_tenant"),
    _row("session-of-its-tenant", "web/shared/accounts/middleware.py",
         "tenant_key(request):\n        return AnonymousUser()", "tenant_key(request):\n        pass",
         f"{_IDENTITY}test_a_session_of_one_tenant_is_nothing_on_anothers_host"),
    _row("token-of-its-tenant", "web/shared/accounts/tokens.py", "            audience=tenant_id,\n", "",
         f"{_IDENTITY}test_a_token_works_on_its_tenants_host_alone test_tricks_with_tokens_are_refused",
         ('options={"require"', 'options={"verify_aud": False, "require"'),
         ('filter(pk=claims["sid"], tenant_id=tenant_id)', 'filter(pk=claims["sid"])'),
         (' or claims["tid"] != tenant_id', "")),
    _row("refresh-token-once", "web/shared/accounts/tokens.py", "fresh = row.used_at is None", "fresh = True",
         f"{_IDENTITY}test_refresh_rotates_and_a_second_use_revokes_the_family"),
    _row("query-without-tenant", "web/shared/tenants/backend/base.py", "if self.schema_name is None:",
         "if False:",
         f"{_TENANCY}test_a_connection_starts_with_no_schema_and_refuses_every_statement"),
    _row("schema-in-the-thread", "web/shared/tenants/context.py",
         "        with _schema(schema):\n            return fn(*args, **kwargs)",
         "        cast(Any, connection).set_schema(schema)\n        return fn(*args, **kwargs)",
         "web/test_tenancy_guards.py::test_a_database_thread_knows_no_tenant_afterwards"),
    _row("schema-put-back", "web/shared/tenants/context.py", "wrapper.set_tenant(before)", "pass",
         f"{_TENANCY}test_contexts_nest_and_put_back_what_was_before_also_after_an_error"),
    _row("schema-names", "web/shared/tenants/backend/base.py",
         "if name != PUBLIC and not is_tenant_id(name):",
         "if False:", f"{_TENANCY}test_only_generated_names_can_be_chosen"),
    _row("idempotency-replay", "web/shared/api/idempotency.py",
         "if stored is not None and stored.created_at > fresh_after:", "if False:",
         f"{_CONTACTS}test_an_idempotency_key_makes_one_row_and_replays_the_answer"),
    _row("idempotency-other-body", "web/shared/api/idempotency.py",
         "if bytes(stored.fingerprint) != fingerprint:", "if False:",
         f"{_CONTACTS}test_an_idempotency_key_makes_one_row_and_replays_the_answer"),
    _row("idempotency-lock", "web/shared/api/idempotency.py", "if not _locked(owner, key):", "if False:",
         "web/test_api_base.py::test_the_same_key_from_two_at_once_makes_one_row"),
    _row("if-match-needed", "web/shared/api/etags.py", "if given is None:\n",
         "if given is None:\n        return\n    if False:\n",
         f"{_CONTACTS}test_a_change_needs_the_current_etag_and_is_audited_by_field_name"),
    _row("if-match-stale", "web/shared/api/etags.py", 'if "*" not in named and etag_of(row) not in named:',
         "if False:", f"{_CONTACTS}test_a_change_needs_the_current_etag_and_is_audited_by_field_name"),
    _row("draft-revision", f"{_CALLS}services.py", "if draft.revision != revision:", "if False:",
         "web/test_calls.py::test_a_draft_is_kept_from_the_first_key_and_never_lost_in_silence"),
    _row("intake-gap", f"{_CALLS}intake.py", "if [entry.seq for entry in fresh] != list(",
         "if False and list(",
         "web/test_intake.py::test_a_missing_entry_stops_the_turn_and_writes_nothing"),
    _row("intake-seen-before", f"{_CALLS}intake.py", "if entry.seq > stand.seq]", "]",
         "web/test_intake.py::test_any_order_of_commits_and_restarts_gives_the_same_rows"),
    _row("intake-position-lock", f"{_CALLS}intake.py",
         "IntakePosition.objects.select_for_update().get_or_create",
         "IntakePosition.objects.get_or_create",
         "web/test_intake_guards.py::test_a_turn_waits_for_the_one_under_way"),
    _row("intake-upsert", f"{_CALLS}rows.py",
         'written, update_conflicts=True, unique_fields=["id"], update_fields=FROM_FACTS', "written",
         "web/test_intake.py::test_a_call_that_cannot_be_applied_is_parked_alone"),
    _row("intake-events-once", f"{_CALLS}intake.py", "ignore_conflicts=True", "ignore_conflicts=False",
         "web/test_intake_guards.py::test_the_whole_log_again_changes_nothing"),
    _row("intake-parked-alone", f"{_CALLS}intake.py", "with transaction.atomic():\n            histories",
         "if True:\n            histories",
         "web/test_intake.py::test_a_call_that_cannot_be_applied_is_parked_alone"),
    _row("one-tenant-per-number", "web/shared/tenants/migrations/0001_initial.py",
         "[models.UniqueConstraint(fields=('trunk', 'number'), name='one_tenant_per_inbound_number')]", "[]",
         "web/test_unique.py"),
    _row("one-person-per-address", "web/shared/accounts/migrations/0001_initial.py",
         "[models.UniqueConstraint(django.db.models.functions.text.Lower('email'), "
         "name='one_user_per_email')]",
         "[]", "web/test_unique.py"),
    _row("one-answer-per-key", "web/shared/records/migrations/0001_initial.py",
         "[models.UniqueConstraint(fields=('owner', 'key'), name='one_answer_per_key')]", "[]",
         "web/test_unique.py"),
)  # fmt: skip

ROWS = (*LOG, *SHELL, *DIALPLAN, *REALTIME, *WEB)
