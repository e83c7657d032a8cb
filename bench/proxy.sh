#!/usr/bin/env bash
# `box proxy run` beside nginx (64 KiB buffers), and a tunnel beside the same origin reached directly
# through nginx: alternating rounds on loopback, medians, ratios. CPU is that of all processes of a
# side, from /proc. Trust ratios and CPU, not requests a second.
#
#   bench/proxy.sh BOX [SECONDS] [ROUNDS]
# Needs: nginx, wrk, curl.
set -eu
BOX=${1:?the box binary}; SECS=${2:-3}; ROUNDS=${3:-3}; MIB=512
W=$(mktemp -d); HZ=$(getconf CLK_TCK); PIDS=()
finish() { for p in "${PIDS[@]}"; do kill -TERM -- "-$p" 2>/dev/null || true; done; rm -rf "$W"; }
trap finish EXIT
ORIGIN=19100 NGINX=19101 RUN=19102 AGENTS=19103 HTTP=19104
mkdir -p "$W/www" "$W/t" "$W/home"; head -c 1024 /dev/zero | tr '\0' x > "$W/www/index.html"
head -c $((MIB << 20)) /dev/zero > "$W/www/big"; chmod -R a+rX "$W"
common="access_log off; client_body_temp_path $W/t/b; proxy_temp_path $W/t/p; fastcgi_temp_path $W/t/f; uwsgi_temp_path $W/t/u; scgi_temp_path $W/t/s; keepalive_requests 100000000;"
cat > "$W/origin.conf" <<C
worker_processes 1; pid $W/o.pid; error_log $W/o.err; daemon off; events { worker_connections 4096; }
http { $common sendfile on; server { listen 127.0.0.1:$ORIGIN backlog=4096; root $W/www; } }
C
cat > "$W/nginx.conf" <<C
worker_processes 2; pid $W/n.pid; error_log $W/n.err; daemon off; events { worker_connections 4096; }
http { $common proxy_buffer_size 64k; proxy_buffers 8 64k; upstream o { server 127.0.0.1:$ORIGIN; keepalive 64; keepalive_requests 100000000; }
  server { listen 127.0.0.1:$NGINX reuseport backlog=4096; location / { proxy_pass http://o; proxy_http_version 1.1; proxy_buffering off; proxy_set_header Host \$http_host; proxy_set_header Connection ''; } } }
C
side() { setsid "$@" > "$W/log.$RANDOM" 2>&1 & S=$!; PIDS+=($S); }
side nginx -c "$W/origin.conf"
side nginx -c "$W/nginx.conf"; A_NGINX=$S
side "$BOX" proxy run --listen 127.0.0.1:$RUN --to 127.0.0.1:$ORIGIN; A_RUN=$S
export HOME=$W/home
TOKEN=$("$BOX" proxy token add bench --data "$W/data")
cat > "$W/tunnel.sh" <<T
"$BOX" proxy server --domain edge.test --listen-http 127.0.0.1:$HTTP --listen-https off --listen-agent 127.0.0.1:$AGENTS --data "$W/data" > "$W/server.log" &
for i in \$(seq 50); do grep -q agents "$W/server.log" && break; sleep 0.1; done
"$BOX" proxy http 127.0.0.1:$ORIGIN --server 127.0.0.1:$AGENTS --token "$TOKEN" -s web --inspect=false --log /dev/null
T
side bash "$W/tunnel.sh"; A_TUNNEL=$S
for port in $NGINX $RUN $HTTP; do for i in $(seq 100); do curl -s -o /dev/null -f -H 'Host: web.edge.test' "http://127.0.0.1:$port/" && break; sleep 0.1; done; done
cpu() { cat /proc/[0-9]*/stat 2>/dev/null | sed 's/ (.*) / /' | awk -v s="$1" '$5==s{t+=$13+$14} END{print t+0}'; }
load() { # name session port mode
  local c0 c1 n; c0=$(cpu "$2")
  if [ "$4" = bulk ]; then
    curl -s -o /dev/null -H 'Host: web.edge.test' "http://127.0.0.1:$3/big"; c1=$(cpu "$2")
    awk "BEGIN{printf \"%.3f\n\", ($c1-$c0)/$HZ*1024/$MIB}" >> "$W/r.$1.cpu_s_per_gib"
  else
    close=(); [ "$4" = storm ] && close=(-H 'Connection: close')
    wrk -t1 -c64 "-d${SECS}s" --latency -H 'Host: web.edge.test' "${close[@]}" "http://127.0.0.1:$3/" > "$W/wrk"; c1=$(cpu "$2")
    n=$(awk '/requests in/{print $1}' "$W/wrk")
    awk "BEGIN{printf \"%.2f\n\", ($c1-$c0)*1e6/$HZ/($n+1)}" >> "$W/r.$1.$4_cpu_us"
    awk '/Requests\/sec/{print $2}' "$W/wrk" >> "$W/r.$1.$4_per_s"
  fi
}
for r in $(seq "$ROUNDS"); do for mode in http storm bulk; do
  load nginx "$A_NGINX" $NGINX $mode; load run "$A_RUN" $RUN $mode; load tunnel "$A_TUNNEL" $HTTP $mode
done; done
median() { sort -g "$1" | awk '{a[NR]=$1} END{print a[int((NR+1)/2)]}'; }
printf '%-16s %10s %10s %10s %10s %10s\n' metric nginx run tunnel run/nginx tunnel/nginx
for f in "$W"/r.nginx.*; do m=${f##*.}; n=$(median "$f"); b=$(median "$W/r.run.$m"); t=$(median "$W/r.tunnel.$m")
  awk -v m="$m" -v n="$n" -v b="$b" -v t="$t" 'BEGIN{printf "%-16s %10s %10s %10s %10.2f %10.2f\n", m, n, b, t, b/(n+1e-9), t/(n+1e-9)}'; done
