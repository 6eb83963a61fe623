"""Running a server: `setup` and `up`, processes, logs, one-off commands, removal.

Start in `server`. `ps` and `logs` only look; `housekeeping` is what the platform itself runs
every few minutes.
"""
