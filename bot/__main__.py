"""`python -m bot` is the command `phen`."""

from bot.cli import main

main()
