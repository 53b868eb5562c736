"""Tools that tests share: processes, brokers, databases, a line that misbehaves, the command line.

Fixtures are registered in tests/conftest.py; everything else is imported from here by name.
"""
