#!/bin/sh
# check_networks.sh BUILD [COUNT [SEED]]: random networks beside PyTorch, where it is installed (apt-get install python3-torch).
build=$1
shift
if ! /usr/bin/python3 -c 'import torch' 2>/dev/null; then
  echo "PyTorch is not installed: 0 passed"
  exit 0
fi
exec /usr/bin/python3 "$(dirname "$0")/random_networks.py" "$build/netc" "$@"
