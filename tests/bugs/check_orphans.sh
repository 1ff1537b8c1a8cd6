#!/usr/bin/env bash
# check_orphans.sh BUILD: netc that is asked to stop while it compiles ends all that its C compiler started (gcc's driver
# ends by itself and lets its compiler run on; only the driver was ended), also what does not listen, and leaves no file.
set -u
build=$(cd "$1" && pwd)
work=$(mktemp -d)
trap 'pkill -KILL -f "$work/works"; rm -rf "$work"' EXIT
cd "$work" || exit 1
passed=0 failed=0
mkdir here
echo 'network a { input(4); dense(2, softmax) }' >a.net
cp "$(command -v sleep)" works
cat >cc_listens <<END
#!/bin/sh
$work/works 300 &
touch $work/started
wait
END
cat >cc_deaf <<END
#!/bin/sh
(trap '' INT TERM; exec $work/works 300) &
sleep 0.2
touch $work/started
wait
END
chmod +x cc_*
for cc in listens deaf; do
  for signal in INT QUIT TERM HUP; do
    rm -f started
    (
      set -m # else bash starts it with SIGINT and SIGQUIT ignored
      TMPDIR=$work/here "$build/netc" build a.net --cc "./cc_$cc" -o a >log 2>&1 &
      child=$!
      for ((i = 0; i < 200; i++)); do
        [ -e started ] && break
        sleep 0.05
      done
      kill -$signal $child
      wait $child
      echo $? >status
    ) 2>/dev/null
    if [ -e started ] && [ "$(cat status)" = 130 ] && ! pgrep -f "$work/works" >/dev/null &&
       [ ! -e a ] && [ -z "$(ls here)" ]; then
      passed=$((passed + 1))
    else
      echo "$cc, $signal: exit code $(cat status), still there: $(pgrep -fa "$work/works")"
      cat log
      failed=$((failed + 1))
    fi
  done
done
echo "orphans: $passed passed, $failed failed"
[ $failed = 0 ]
