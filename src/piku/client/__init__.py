"""piku on a laptop: its commands go to a server over ssh, and a few are done right here.

What every call loads (`entry`, `where`, `address`, `ssh`, `spawn`) imports next to nothing: a command is
to feel as if it ran here.
"""

# The commands that are done on the laptop; "piku.client.commands" has them.
COMMANDS = (
    "init", "open", "shell", "tmux", "download", "upload", "config:push", "config:pull", "completion",
)  # fmt: skip
