"""uWSGI: the emperor that runs every process, and what its files say.

Start in `emperor`: what runs, enabling and disabling. `ini` renders and quotes configuration,
`plugins` has the options of each language, `housekeeping` is the platform's own vassal.
"""
