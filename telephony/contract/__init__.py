"""What crosses a process border.

Frozen standard-library dataclasses and the arithmetic that both sides share: facts and frames go up
(daemon to web), asks go down (web to daemon), policy and roster are published by Django, and the view is
the one fold that the daemon, the screens and every report make of the facts. Nothing here performs input
or output, reads a clock or knows an encoding: `telephony.codec` does that.
"""
