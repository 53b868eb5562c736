"""Measurements: what the product costs beside what the same primitives cost in the same run (`liandong bench`).

For: hub intake, edge save, bytes on the line, fold; each with its bound.
May not: be a test: nothing fails because a machine is slow.
Manual: docs/performance.md.
"""
