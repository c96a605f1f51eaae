"""Journals of raw events, and what they must fold to."""
