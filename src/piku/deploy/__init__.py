"""Releases, and the way one goes live.

Start in `deploy`, which reads like a runbook: `revision` reads the commit, `build` and
`checkout` make its folder, `going_live` starts its processes and commits, `reconcile` makes the
server follow. The types are in `releases`; `lifecycle` has what changes an app without a push.
"""
