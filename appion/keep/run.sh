#!/bin/sh
# Runs a daemon and writes with which exit code it ended: run.sh FILE WORD PROGRAM [ARGUMENT ...]
# Whoever started it may be gone by then. What it is told (to end) is told to the daemon once.
file=$1 word=$2
shift 2
"$@" &
child=$!
trap 'kill -TERM "$child" 2> /dev/null' TERM INT HUP
while :; do
    wait "$child"
    code=$?
    kill -0 "$child" 2> /dev/null || break
done
echo "$word $code" > "$file.$$.tmp" && mv "$file.$$.tmp" "$file"
exit "$code"
