"""Two invented organisations, and callers for them: what a newcomer sees in the first five minutes."""
