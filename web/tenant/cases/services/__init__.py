"""Writes of cases, one module for each thing that people do to a case."""
