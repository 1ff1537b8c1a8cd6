#!/usr/bin/env bash
exec /usr/bin/python3 "$(dirname "$0")/check_passes.py" "$1/netc"
