#!/usr/bin/env python3
"""Start-up and size: `box version` beside `busybox true`, in turn.

usage: start.py BOX [RUNS]

Prints the CPU time (user and system, of the whole process) of each, the ratio of the medians, the
number of system calls, and the size of the binary. busybox is Debian's busybox-static, strace is
Debian's strace; what is not installed is said and left out.
"""

import os
import shutil
import statistics
import subprocess
import sys


def cpu_us(argv):
    """CPU microseconds of one run, as the kernel accounts them to the reaped child."""
    pid = os.posix_spawn(argv[0], argv, os.environ,
                         file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
    _, status, usage = os.wait4(pid, 0)
    if status != 0:
        sys.exit(f"start.py: {' '.join(argv)}: status {status}")
    return (usage.ru_utime + usage.ru_stime) * 1e6


def syscalls(argv):
    trace = subprocess.run(["strace", "-f", "-o", "/dev/stdout", "-e", "quiet=all", "-e",
                            "signal=none", *argv], capture_output=True, check=True)
    return sum(1 for line in trace.stdout.splitlines() if b"(" in line)


def main():
    box = os.path.abspath(sys.argv[1])
    runs = int(sys.argv[2]) if len(sys.argv) > 2 else 200
    print(f"size: {os.path.getsize(box) / 1e6:.2f} MB (limit 15)")
    if shutil.which("strace"):
        print(f"system calls of box version: {syscalls([box, 'version'])} (limit 40)")
    else:
        print("skipped: system calls: needs strace")
    busybox = shutil.which("busybox")
    if not busybox:
        print("skipped: CPU beside busybox: needs busybox-static")
        return
    ours, theirs = [], []
    for _ in range(10):
        cpu_us([box, "version"]), cpu_us([busybox, "true"])
    for _ in range(runs):
        ours.append(cpu_us([box, "version"]))
        theirs.append(cpu_us([busybox, "true"]))
    a, b = statistics.median(ours), statistics.median(theirs)
    print(f"CPU of box version {a:.0f} us, busybox true {b:.0f} us, "
          f"ratio of medians {a / b:.2f} over {runs} alternating runs (limit 1.25)")


if __name__ == "__main__":
    main()
