#!/bin/sh
# Answers git's questions for a user name and a password. The token is in this process's
# environment alone, and given only for the server that it is meant for.
case "$1" in
    "Username for '$PROJECT_TRACKER_ORIGIN'"*) echo x-access-token ;;
    "Password for '$PROJECT_TRACKER_ORIGIN_AS_USER'"*) printf '%s\n' "$PROJECT_TRACKER_TOKEN" ;;
    *) exit 1 ;;
esac
