#!/usr/bin/env python3
"""The load generator beside its peer, in turn, against one server.

usage: cache-benchmark.py BOX [ROUNDS]

Starts Debian's redis-server, then alternates `BOX cache-benchmark` and redis-benchmark over a few
loads. Prints requests per second of each (medians), their ratio, and the client's CPU time per
request, which is what is left to the server on a busy machine.
"""

import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

LOADS = [
    ("set P=1", ["-t", "set", "-r", "100000", "-n", "100000"]),
    ("get P=1", ["-t", "get", "-r", "100000", "-n", "100000"]),
    ("get P=16", ["-t", "get", "-r", "100000", "-n", "600000", "-P", "16"]),
    ("get P=100", ["-t", "get", "-r", "100000", "-n", "1000000", "-P", "100"]),
    ("lrange 100", ["-t", "lrange_100", "-n", "40000"]),
    ("mset", ["-t", "mset", "-r", "100000", "-n", "60000"]),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def run(argv):
    """Requests per second of the last CSV line, CPU microseconds of the client."""
    read, write = os.pipe()
    pid = os.posix_spawnp(argv[0], argv, os.environ, file_actions=[
        (os.POSIX_SPAWN_DUP2, write, 1), (os.POSIX_SPAWN_CLOSE, read)])
    os.close(write)
    with os.fdopen(read) as output:
        last = output.read().strip().splitlines()[-1]
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(argv)}: status {status}")
    return float(last.split('","')[1]), (usage.ru_utime + usage.ru_stime) * 1e6


def main():
    box = os.path.abspath(sys.argv[1])
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 3
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen(
            ["redis-server", "--port", str(port), "--save", "", "--dir", folder],
            stdout=subprocess.DEVNULL)
        try:
            while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
                time.sleep(0.01)
            print(f"{'load':<12} {'box req/s':>10} {'peer':>10} {'ratio':>6}   "
                  f"{'box us/req':>10} {'peer':>6} {'ratio':>6}")
            for name, args in LOADS:
                count = int(args[args.index("-n") + 1])
                ours, theirs = [], []
                common = ["-p", str(port), "--csv", *args]
                for _ in range(rounds):
                    ours.append(run([box, "cache-benchmark", *common]))
                    theirs.append(run(["redis-benchmark", *common]))
                a, b = (statistics.median(r[0] for r in side) for side in (ours, theirs))
                c, d = (min(r[1] for r in side) / count for side in (ours, theirs))
                print(f"{name:<12} {a:>10.0f} {b:>10.0f} {a / b:>6.2f}   "
                      f"{c:>10.2f} {d:>6.2f} {c / d:>6.2f}", flush=True)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main()
