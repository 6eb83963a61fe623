"""What clients reach through sshd: keys, git, and copies of files.

sshd runs piku for every command of a key (`keys`). A push goes through `git.receive_pack` to
OpenSSH's and git's own programs, and from the post-receive hook (`push.handle`) to a deploy.
Start reading in git.py.
"""
