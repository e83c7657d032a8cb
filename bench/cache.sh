#!/bin/sh
# Ratios of box cache-server to redis-server: throughput and CPU per operation, in turn, A B B A.
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
cpu() { cat /proc/"$1"/task/*/schedstat | awk '{ sum += $1 } END { print sum }'; }

# PORT PID TEST DEPTH: requests a second, and CPU ns a request.
once() {
    before=$(cpu "$2")
    rate=$(redis-benchmark -p "$1" -n "$requests" -r 100000 -d 64 -t "$3" -P "$4" --csv | awk -F'"' 'NR == 2 { print $4 }')
    after=$(cpu "$2")
    echo "$rate $(( (after - before) / requests ))"
}

printf '%-8s %4s %10s %10s\n' load P throughput cpu/op
for depth in 1 16 100; do
    for load in set get incr lpush sadd hset zadd; do
        a1=$(once 7911 $ours $load $depth); b1=$(once 7912 $theirs $load $depth)
        b2=$(once 7912 $theirs $load $depth); a2=$(once 7911 $ours $load $depth)
        echo "$a1 $a2 $b1 $b2" | awk -v load=$load -v depth=$depth \
            '{ printf "%-8s %4d %10.2f %10.2f\n", load, depth, ($1 + $3) / ($5 + $7), ($2 + $4) / ($6 + $8) }'
    done
done
