"""What the shell counts. Labels are tenant, node and kind, never an id of a call or a person."""

from functools import cache

from prometheus_client import Counter, Gauge, Histogram

STEPS = Counter("murima_floor_steps_total", "Events decided", ["tenant", "kind"])
IGNORED = Counter("murima_floor_ignored_total", "Events that changed nothing", ["tenant", "kind"])
FACTS = Counter("murima_floor_facts_total", "Facts decided", ["tenant", "kind"])
LONGEST_STEP = Gauge("murima_floor_longest_step_seconds", "Longest step since the last beat", ["tenant"])
INBOX = Gauge("murima_floor_inbox", "Events waiting as of the last beat", ["tenant"])
CALLS = Gauge("murima_floor_calls", "Live calls as of the last beat", ["tenant"])
POISONED = Counter("murima_floor_rebuilds_total", "Floors rebuilt from the log after an error", ["tenant"])
COMMANDS = Counter("murima_commands_total", "Commands by class", ["kind"])
FAILED = Counter("murima_commands_failed_total", "Commands that could not be carried out", ["kind"])
COMMAND_SECONDS = Histogram(
    "murima_command_seconds",
    "From a command's decision until it was carried out",
    ["kind"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2.0, 10.0),
)
DOOR = Gauge("murima_door_open", "1 while commands may leave")
STALLS = Counter("murima_loop_stalls_total", "Times the loop stood for more than a second")
LONGEST_STALL = Gauge("murima_loop_longest_stall_seconds", "Longest time the loop stood, since the start")
NOTES = Counter("murima_switch_notes_total", "Notes of the switch", ["node", "kind"])
BROKEN = Counter("murima_switch_notes_broken_total", "Notes that a defect kept from floors", ["node", "kind"])
REFUSED = Counter("murima_callers_refused_total", "Callers given back to the dialplan", ["node", "kind"])
REPAIRS = Counter("murima_reconcile_repairs_total", "Differences that reconciliation found", ["node", "kind"])
RECONCILED = Counter("murima_reconcile_runs_total", "Comparisons with the switch's lists", ["node", "kind"])
LOOKED = Counter("murima_browser_legs_looked_at_total", "Legs of browsers that went away", ["node", "kind"])
LEASE = Counter("murima_lease_renewals_total", "Renewals of the lease", ["node", "kind"])
OFFERS_OPEN = Gauge("murima_offers_open", "1 while floors may make offers")
UNSEALED = Counter("murima_parties_unsealed_total", "Callers not remembered for want of a key", ["tenant"])
SLEW = Gauge("murima_clock_offset_seconds", "UTC minus the engine's clock")

# What is counted with everything that happens; each child is looked up once, because that takes longer than
# to count.
steps = cache(STEPS.labels)
ignored = cache(IGNORED.labels)
facts = cache(FACTS.labels)
commands = cache(COMMANDS.labels)
command_seconds = cache(COMMAND_SECONDS.labels)
notes = cache(NOTES.labels)
