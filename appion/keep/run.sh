#!/bin/sh
# Runs a daemon and writes with which exit code it ended: run.sh FILE WORD PROGRAM [ARGUMENT ...]
# Whoever started it may be gone by then. What it is told (to end) is told to the daemon once, also if that comes before
# there is one.
file=$1 word=$2 child='' told=''
shift 2
trap 'if test "$child"; then kill -TERM "$child" 2> /dev/null; else told=yes; fi' TERM INT HUP
"$@" &
child=$!
test "$told" && kill -TERM "$child"
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2> /dev/null || break
done
echo "$word $code" > "$file.$$.tmp" && mv "$file.$$.tmp" "$file"
exit "$code"
