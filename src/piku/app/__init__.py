"""What an app says: its Procfile, its settings, the files of a commit. Pure, but for reading git.

`procfile` and `schedule` read the Procfile, `tree` a commit. `settings` is the table of settings,
with checks in `checks`. Start reading in procfile.py.
"""
