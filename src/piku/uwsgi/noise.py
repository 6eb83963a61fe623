"""uWSGI's routine remarks about its own starts and stops in an app's log."""

from __future__ import annotations

import re

# As uWSGI 2.0 writes them. Its reports of failures are not among them.
_ROUTINE = re.compile(
    rb"""
    \*\*\*[ ](Starting[ ]uWSGI|Operational[ ]MODE:|no[ ]app[ ]loaded\.|uWSGI[ ]is[ ]running)
    | (compiled[ ]with[ ]version|os|nodename|machine|clock[ ]source|lock[ ]engine
        |thunder[ ]lock):[ ]
    | pcre[ ]jit[ ] | current[ ]working[ ]directory:[ ] | chdir\(\)[ ]to[ ]/
    | detected[ ](number[ ]of[ ]CPU[ ]cores|binary[ ]path|max[ ]file[ ]descriptor[ ]number):[ ]
    | your[ ](processes[ ]number[ ]limit|memory[ ]page[ ]size)[ ]is[ ]
    | your[ ](server[ ]socket[ ]listen[ ]backlog|mercy[ ]for[ ]graceful[ ]operations)[ ]
    | uwsgi[ ]socket[ ][0-9] | mapped[ ][0-9]+[ ]bytes[ ] | spawned[ ]uWSGI[ ](master|worker)
    | Python[ ](version:[ ][0-9]|main[ ]interpreter[ ]initialized) | python[ ]threads[ ]support[ ]
    | PEP[ ]405[ ]virtualenv[ ]detected | Set[ ]PythonHome[ ]to[ ]
    | WSGI[ ]app[ ][0-9]+[ ]\(mountpoint= | running[ ]"perl[ ]-e[ ]'fcntl | \[uwsgi-daemons\][ ]
    | !{14}[ ]WARNING[ ]!{14}$ | !{11}[ ]END[ ]OF[ ]WARNING[ ]!{10}
    | no[ ]request[ ]plugin[ ]is[ ]loaded, | VACUUM:[ ]unix[ ]socket
    | you[ ]may[ ]need[ ]to[ ]install[ ]the[ ]package[ ]for[ ]your[ ]language
    | announcing[ ]my[ ]loyalty | SIGINT/SIGTERM[ ]received\.\.\. | goodbye[ ]to[ ]uWSGI
    | worker[ ][0-9]+[ ]buried[ ]after | cheap[ ]mode[ ]enabled:
    | workers[ ]have[ ]been[ ]inactive[ ]for[ ]more | .{24}[ ]-[ ]received[ ]message[ ][0-9][ ]from
    | .{24}[ ]-[ ]logsize:[ ][0-9]+,[ ]triggering[ ]rotation
    """,
    re.VERBOSE,
)


def is_routine(line: bytes) -> bool:
    """Whether a line is such a remark."""
    return _ROUTINE.match(line) is not None
