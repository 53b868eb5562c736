"""Tests of Liandong. unit/: pure code and small parts; contract/: every carrier; story/: real processes; support/: shared tools."""
