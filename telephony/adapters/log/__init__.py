"""The log: a local segment file, what follows it, and what Django published.

`log.FileLog` is the port's implementation; `memory.MemoryLog` its stand-in for unit tests, held to the same
tests; `published.PublishedFeed` brings policy, roster and keys.
"""
