#!/bin/sh
# Ratios of box cache-server to redis-server: throughput and CPU per operation, in turn, A B B A;
# then bytes of resident memory for a key.
# usage: bench/cache.sh PATH-OF-BOX [requests]
set -eu
box=$1
requests=${2:-100000}
dir=$(mktemp -d)
"$box" cache-server --port 7911 --save "" --dir "$dir" >"$dir/ours.log" & ours=$!
redis-server --port 7912 --save "" --dir "$dir" >"$dir/theirs.log" & theirs=$!
trap 'kill $ours $theirs 2>/dev/null || true; wait; rm -r "$dir"' EXIT
until redis-cli -p 7911 ping >/dev/null 2>&1 && redis-cli -p 7912 ping >/dev/null 2>&1; do :; done

# CPU of all threads of a process, in ns.
cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { printf "%.0f\n", sum }'; }

# PORT PID TEST DEPTH: requests a second, and CPU ns a request.
once() {
    before=$(cpu "$2")
    rate=$(redis-benchmark -p "$1" -n "$requests" -r 100000 -d 64 -t "$3" -P "$4" --csv | awk -F'"' 'NR == 2 { print $4 }')
    after=$(cpu "$2")
    echo "$rate $(( (after - before) / requests ))"
}

printf '%-8s %4s %10s %10s\n' load P throughput cpu/op
for depth in ${depths:-1 16 100}; do
    for load in set get incr lpush sadd hset zadd; do
        a1=$(once 7911 $ours $load $depth); b1=$(once 7912 $theirs $load $depth)
        b2=$(once 7912 $theirs $load $depth); a2=$(once 7911 $ours $load $depth)
        echo "$a1 $a2 $b1 $b2" | awk -v load=$load -v depth=$depth \
            '{ printf "%-8s %4d %10.2f %10.2f\n", load, depth, ($1 + $3) / ($5 + $7), ($2 + $4) / ($6 + $8) }'
    done
done

# Resident bytes of a process.
rss() { awk '/VmRSS/ { print $2 * 1024 }' /proc/"$1"/status; }

# COMMAND... : starts a server, prints its growth in bytes an item after the program's requests.
growth() {
    program=$1 count=$2
    shift 2
    "$@" --port 7913 --save "" --dir "$dir" >"$dir/fresh.log" & fresh=$!
    until redis-cli -p 7913 ping >/dev/null 2>&1; do :; done
    before=$(rss $fresh)
    awk "BEGIN { for (i = 0; i < $count; i++) { $program } }" | redis-cli -p 7913 --pipe >/dev/null
    echo $(( ($(rss $fresh) - before) / count ))
    kill $fresh
    wait $fresh || true
}

# NAME AWK-PROGRAM COUNT: bytes an item in a fresh server, ours and theirs.
memory() {
    ours_bytes=$(growth "$2" "$3" "$box" cache-server)
    printf '%-24s %6d %6d\n' "$1" "$ours_bytes" "$(growth "$2" "$3" redis-server)"
}

printf '\n%-24s %6s %6s\n' 'bytes an item' box redis
memory string-16-16 'printf "SET key:%012d %016d\r\n", i, i * 7919 % 1000003 + 1' 500000
memory hash-of-5 'printf "HSET h:%012d a 1 b 2 c 3 d 4 e 5\r\n", i' 200000
memory zset-member 'printf "ZADD big %d member:%09d\r\n", i * 7919 % 1000003, i' 300000
