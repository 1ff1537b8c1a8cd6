#!/usr/bin/env bash
exec /usr/bin/python3 "$(dirname "$0")/check_memory.py" "$1/netc"
