"""`python -m cli`: the same as the command `postriver`."""

from cli.main import main

main()
