"""nginx: what it serves for each app, and piku's own instance of it.

Start in `site`, which has the types; `site_config` makes a site of an app's settings, `vhost` its
configuration, and `service` checks, installs and reloads all of them. Users' values reach nginx
through the renderer in `directives` only; what all apps share is text in `piku/templates`.
"""
