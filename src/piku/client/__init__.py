"""piku on a laptop: most commands go to a server over ssh, and a few run here.

Start at `main.py`. What every call loads (`main`, `target`, `address`, `ssh`) imports little, and
nothing of the server's: a command should feel as if it ran here.
"""

# The commands that run on the laptop, as "module:function".
COMMANDS = {
    "init": "piku.client.commands:init",
    "open": "piku.client.commands:open_",
    "shell": "piku.client.commands:shell",
    "tmux": "piku.client.commands:tmux",
    "download": "piku.client.copy:download",
    "upload": "piku.client.copy:upload",
    "config:push": "piku.client.config:config_push",
    "config:pull": "piku.client.config:config_pull",
}
