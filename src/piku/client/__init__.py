"""piku on a laptop: its commands go to a server over ssh, and a few are done right here.

What every call loads (`entry`, `where`, `address`, `ssh`, `spawn`) imports next to nothing: a command is
to feel as if it ran here.
"""

# The commands that are done on the laptop, as "module:function".
COMMANDS = {
    "init": "piku.client.commands:init",
    "open": "piku.client.commands:open_",
    "shell": "piku.client.commands:shell",
    "tmux": "piku.client.commands:tmux",
    "download": "piku.client.commands:download",
    "upload": "piku.client.commands:upload",
    "config:push": "piku.client.commands:config_push",
    "config:pull": "piku.client.commands:config_pull",
    "completion": "piku.client.commands:completion",
}
