# How scripts/kubo and scripts/localnet wait for processes to end.

# Whether a thread of a process runs; its first one may end, a zombie then, before the others let go of their files.
alive() { # PID
  grep -qs '^State:[[:space:]]*[^XZ[:space:]]' "/proc/$1/task/"*/status
}

# Waits; fails when some still run after that long.
all_end() { # SECONDS PID...
  local deadline=$((SECONDS + $1)) pid
  shift
  for pid in "$@"; do
    while alive "$pid"; do
      [ $SECONDS -lt $deadline ] || return 1
      sleep 0.1
    done
  done
}
