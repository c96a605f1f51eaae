"""Asterisk through AMI, for what ARI does not say: the fallback's queue, and who registered.

`actions` is pure; `link` holds the connection. Losing AMI loses a view, never a call: nothing waits for it
and readiness does not know it.
"""
