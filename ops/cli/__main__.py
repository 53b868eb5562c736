"""`python -m ops.cli`: the same as the command `liandong`."""

from ops.cli import main

if __name__ == "__main__":
    main()
