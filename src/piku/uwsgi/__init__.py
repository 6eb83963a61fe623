"""uWSGI: the emperor that runs every process, and what its files say.

Start in `emperor`: what runs, enabling and disabling. `ini` renders configuration through a
renderer that quotes, `plugins` has the options of each language, `cron` those of scheduled jobs,
`housekeeping` is the platform's own vassal.
"""
