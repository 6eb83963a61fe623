#!/bin/sh
# The emperor starts this in the place of uWSGI, with uWSGI's arguments: --ini APP@START.KIND.N.ini
# An app with walls has a file that says how to start it; for all others this becomes uWSGI.
_name=${2%.ini}
_start=${_name#*@}
_launch=../releases/${_name%%@*}/starts/${_start%%.*}/${_start#*.}.launch
[ ! -f "$_launch" ] || . "$_launch"
exec @UWSGI@ "$@"
