# Starting and stopping one broker of this build. Sourced by bash, from the root, after setup.sh.

broker_pid=
broker_address=
broker_http=
readonly ready_seconds_max=30
readonly stop_seconds_max=10

# port_taken PORT: does anything answer on it on the loopback address?
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# start_broker DATA LISTEN HTTP FOLDER: starts it with its ready line in FOLDER/ready and its log in
# FOLDER/log, waits until it serves, and sets broker_pid, broker_address and broker_http.
start_broker() {
  local tries
  # In a process group of its own, so that Ctrl-C reaches this script, which then stops it in order.
  set -m
  build/tools/millraced --data "$1" --listen "$2" --http "$3" >"$4/ready" 2>"$4/log" </dev/null &
  broker_pid=$!
  set +m
  for ((tries = ready_seconds_max * 20; tries > 0; --tries)); do
    if grep -q '^millraced ready:' "$4/ready"; then
      broker_address=$(sed -n 's/^millraced ready:.* binary=\([^ ]*\).*/\1/p' "$4/ready")
      broker_http=$(sed -n 's/^millraced ready:.* http=\([^ ]*\).*/\1/p' "$4/ready")
      return
    fi
    kill -0 "$broker_pid" 2>/dev/null || break
    sleep 0.05
  done
  cat "$4/log" >&2
  fail "the broker did not start"
}

# Stops it as an operator would (SIGTERM); anything but a clean exit is an error. No broker: nothing.
stop_broker() {
  local pid=$broker_pid tries status=0
  [ -n "$pid" ] || return 0
  broker_pid=
  kill -TERM "$pid" 2>/dev/null || true
  for ((tries = stop_seconds_max * 20; tries > 0; --tries)); do
    kill -0 "$pid" 2>/dev/null || break
    sleep 0.05
  done
  [ "$tries" -gt 0 ] || kill -KILL "$pid" 2>/dev/null || true
  wait "$pid" || status=$?
  [ "$status" -eq 0 ] || fail "the broker ended with status $status"
}

# Returns when the broker has ended by itself; a signal to this script ends the wait and the broker.
wait_for_broker() {
  local pid=$broker_pid status=0
  wait "$pid" || status=$?
  broker_pid=
  [ "$status" -eq 0 ] || fail "the broker ended with status $status"
}
