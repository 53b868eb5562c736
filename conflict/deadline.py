"""Deadlines (being written). The facts they rest on are in conflict/clock.py."""

from conflict.clock import ClockFacts

__all__ = ["ClockFacts"]
