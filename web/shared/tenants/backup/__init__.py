"""Backups of one tenant or of everything, and their way back.

A backup is a directory:

    manifest.json                   versions, tables and columns, SHA-256 and size of every other file
    erasures.jsonl                  the ledger of erasures as it was
    <tenant>/schema.dump            pg_dump's custom format of the tenant's schema
    <tenant>/shared/<table>.copy    the tenant's rows of each shared table, and the accounts they need
    <tenant>/files.tar              what lies under MURIMA_HOME/data/tenants/<tenant>
    <tenant>/anchors.jsonl          the anchors of its audit trail's seals, where there are any
    platform/shared/<table>.copy    with --all: shared rows that belong to no tenant

Dump and rows are of one instant (a snapshot of the database). Keys are in it as they are in the database,
wrapped by the master key, which is in no backup: who has the directory alone can open nothing sealed.

`tables` finds out which shared rows are whose, `servers` runs PostgreSQL's programs, `saving` and `restoring`
are the two directions, `manifest` is what holds them together.
"""
