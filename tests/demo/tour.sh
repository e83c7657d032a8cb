#!/usr/bin/env bash
# A guided tour of `box`: every applet does its main job on real input, with nothing else installed.
#
# usage: tour.sh BOX
#
# Runs in a folder of its own, ends everything it started, and fails where a step fails. What needs
# root (capturing packets, containers) is left out, and said, where there is none.
set -euo pipefail

BOX=$(readlink -f "$1")
ROOM=$(mktemp -d "${TMPDIR:-/tmp}/box-tour.XXXXXX")
export HOME="$ROOM/home" BOX_CONTAINER_ROOT="$ROOM/containers"
mkdir -p "$HOME"
cd "$ROOM"
pids=()

finish() {
  code=$?
  for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
  for pid in "${pids[@]}"; do wait "$pid" 2>/dev/null || true; done
  cd /
  rm -rf "$ROOM" 2>/dev/null || true
  [ $code = 0 ] || echo "the tour ended with an error ($code)" >&2
  exit $code
}
trap finish EXIT

bold() { if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then printf '\n\033[1m%s\033[0m\n' "$*"; else printf '\n%s\n' "$*"; fi; }

# Shows a command as a person types it, then runs it.
show() {
  printf '$ box'
  for word in "$@"; do
    case $word in
      *"'"*) printf ' "%s"' "$word" ;;
      *[!A-Za-z0-9_@%+=:,./-]* | '') printf " '%s'" "$word" ;;
      *) printf ' %s' "$word" ;;
    esac
  done
  printf '\n'
  "$BOX" "$@"
}

# Waits for a line in a file, at most ten seconds; fails with what is there.
wait_for() {
  local file=$1 text=$2
  for _ in $(seq 200); do
    grep -q -- "$text" "$file" 2>/dev/null && return 0
    sleep 0.05
  done
  echo "waited for '$text' in $file:" >&2
  cat "$file" >&2
  return 1
}

# A port that was free a moment ago.
port() {
  local port
  for port in $(seq $((20000 + RANDOM % 10000)) 32000); do
    if ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; then
      echo "$port"
      return
    fi
  done
}

# GET over a plain connection, with bash alone.
get() {
  local port=$1 host=$2 path=$3
  exec 3<>"/dev/tcp/127.0.0.1/$port"
  printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$path" "$host" >&3
  cat <&3
  exec 3<&- 3>&-
}

root=$([ "$(id -u)" = 0 ] && echo yes || echo no)

bold "1. A cache that Redis and Valkey clients talk to"
CACHE=$(port)
echo "\$ box cache-server --port $CACHE &"
"$BOX" cache-server --port "$CACHE" --dir "$ROOM" --save '' >cache.log 2>&1 &
pids+=($!)
wait_for cache.log 'Ready to accept connections'
show cache-cli -p "$CACHE" set greeting 'hello from the cache'
show cache-cli -p "$CACHE" get greeting
show cache-cli -p "$CACHE" zadd scores 17 ann 42 bob 23 eve
show cache-cli -p "$CACHE" zrange scores 0 -1 withscores

bold "2. A database file that sqlite3 opens too"
show sql tour.db 'create table visits(id integer primary key, path text, ms real)'
show sql tour.db "insert into visits(path, ms) values ('/', 1.5), ('/docs', 3.25), ('/', 2.5)"
show sql -box tour.db 'select path, count(*) as visits, avg(ms) as ms from visits group by path order by visits desc'

bold "3. Packets on the loopback, as tcpdump prints them"
if [ $root = yes ]; then
  echo "\$ box sniff -ni lo -c 6 tcp port $CACHE &"
  "$BOX" sniff -l -ni lo -c 6 "tcp port $CACHE" >packets.txt 2>sniff.log &
  sniffer=$!
  pids+=($sniffer)
  wait_for sniff.log 'listening on lo'
  "$BOX" cache-cli -p "$CACHE" get greeting >/dev/null
  "$BOX" cache-cli -p "$CACHE" get greeting >/dev/null
  wait $sniffer
  cat packets.txt
  [ "$(wc -l <packets.txt)" -ge 6 ]
else
  echo "left out: capturing needs root (or: setcap cap_net_raw+ep $BOX)"
fi

bold "4. A container from the built-in image: the binary itself"
if [ $root = yes ]; then
  show container run --rm @box version
  show container run --rm @box sql :memory: "select 'inside a container' as place, 6*7 as answer"
else
  echo "left out: containers need root"
fi

bold "5. A local port with a name, HTTPS and an inspector"
mkdir site
echo '<h1>hello from localhost</h1>' >site/index.html
echo "\$ box proxy file site --log stdout &"
"$BOX" proxy file site --log stdout --log-format json >proxy.log 2>&1 &
pids+=($!)
wait_for proxy.log '"urls"'
HTTPS=$(grep -o 'https://[^"]*' proxy.log | head -1)
HTTP=$(grep -o 'http://[a-z0-9-]*\.localhost:[0-9]*' proxy.log | head -1)
echo "forwarding $HTTPS and $HTTP"
rest=${HTTP#http://}
name=${rest%%:*}
web=${rest##*:}
echo "\$ curl $HTTP/"
get "${web%/}" "$name" / | tail -1

bold "What you saw, and how to go on"
cat <<EOF
  box cache-server, box cache-cli    a cache; your Redis clients work: redis-cli -p 6379
  box sql app.db                     a prompt on any SQLite file
  box sniff -ni any port 53          what tcpdump would show
  box container run --rm -it @box sql
                                     a container of the binary itself; import or load any other image
  box proxy http 3000                https://NAME.localhost for a local port; --server for the world
  box help NAME                      the flags, with examples; box --install DIR makes the links
EOF
