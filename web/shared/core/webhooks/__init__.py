"""Webhooks out, as Standard Webhooks describes them.

A consumer of domain events (outbox) makes a delivery row for each endpoint that wants an event. A task of the
tenant's (tasks) takes what is due, sends it (sending, through web.shared.core.egress) and writes down what
came of it; everything about when lies in the rows, so a lost queue loses nothing. At least once: the receiver
tells doubles by `webhook-id`, and order by the event's `sequence`.
"""
