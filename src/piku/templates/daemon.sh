# Runs a program that uWSGI only watches.
#
# A program that is a uWSGI of its own would take the first variable for its emperor. uWSGI repeats
# the signal that stops a daemon every second, and to many programs a second SIGTERM means to drop
# everything: so it sends SIGCONT, which hurts nobody, and the shell makes one SIGTERM of that for
# the whole group. It waits for the program, to log its exit code. The program dies with the shell,
# and the shell with uWSGI.
unset UWSGI_EMPEROR_FD
trap : TERM CONT
/usr/bin/env --default-signal=INT,QUIT /usr/bin/setpriv --pdeathsig KILL -- @PROGRAM@ &
set -- $!
trap 'trap : CONT; set -- "$1" stopping; kill -TERM 0' CONT
while wait "$1"; set -- "$1" "${2-}" $?; kill -0 "$1" 2>/dev/null; do :; done
[ "$2" ] || echo "@ENDED@$3"
exit $3
