"""The shell around the floors: clocks, queues, recovery, and nothing that decides about calls.

`runtime` turns events into steps, facts and commands; `executor` sends commands through the `door`;
`watch` follows a switch node and, with `reconcile`, says what happened while nobody looked; `directory`
knows whose channel, phone or number something is; `lease`, `keeping` and `supervisor` do what must happen
every so often, and in the right order at start and stop.
"""
