"""What system tests and benches are made of: SIP phones, sound, and the stack's run file."""
