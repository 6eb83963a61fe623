"""The command line of a server: it parses, calls and prints; nothing is decided here.

Start at `main.py`. `commands.py` says where each command is; a module is loaded when one of its
commands is used.
"""
