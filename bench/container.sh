#!/bin/sh
# bench/container.sh BOX [ROUNDS]: `box container` beside crun on the same root file system and the
# same configuration, in turn, as ratios of wall and CPU time. Needs root, crun, busybox-static,
# python3. crun refuses hybrid cgroups: where the machine has them, all runs happen in a mount
# namespace without the version 2 mount.
set -eu
box=$(readlink -f "$1")
rounds=${2:-40}
work=$(mktemp -d /var/tmp/box-bench.XXXXXX)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/bundle/rootfs/bin"
cp "$(command -v busybox)" "$work/bundle/rootfs/bin/busybox"
for name in sh true sleep; do ln -s busybox "$work/bundle/rootfs/bin/$name"; done
(cd "$work/bundle" && "$box" container oci spec)
cat > "$work/run.py" <<'P'
import json, os, statistics, subprocess, sys, time
box, work, rounds = sys.argv[1], sys.argv[2], int(sys.argv[3])
bundle = work + '/bundle'
config = json.load(open(bundle + '/config.json'))
config['process'].update(terminal=False, args=['true'])
json.dump(config, open(bundle + '/config.json', 'w'))
null = os.open('/dev/null', os.O_RDWR)
actions = [(os.POSIX_SPAWN_DUP2, null, 0), (os.POSIX_SPAWN_DUP2, null, 1)]
def once(args):
    start = time.perf_counter()
    pid = os.posix_spawnp(args[0], args, os.environ, file_actions=actions)
    _, status, used = os.wait4(pid, 0)
    if status: sys.exit(f'{args}: status {status}')
    return (time.perf_counter() - start) * 1e3, (used.ru_utime + used.ru_stime) * 1e3
ours, theirs = [box, 'container', 'oci', '--root', work + '/ours'], ['crun', '--root', work + '/theirs']
engine = [box, 'container', '--root', work + '/store', 'run', '--rm', '--rootfs', bundle + '/rootfs']
def measure(name, a, b):
    pairs = [(once(a(i)), once(b(i))) if i % 2 else tuple(reversed((once(b(i)), once(a(i))))) for i in range(rounds + 2)][2:]
    wall = statistics.median(x[0] / y[0] for x, y in pairs)
    cpu = statistics.median(x[1] / y[1] for x, y in pairs if y[1])
    med = lambda side, what: statistics.median(pair[side][what] for pair in pairs)
    print(f'{name:34} box {med(0,0):7.2f} ms (cpu {med(0,1):5.2f})   crun {med(1,0):7.2f} ms (cpu {med(1,1):5.2f})   ratio wall {wall:.2f} cpu {cpu:.2f}', flush=True)
measure('oci run true', lambda i: [*ours, 'run', '-b', bundle, f'a{i}'], lambda i: [*theirs, 'run', '-b', bundle, f'b{i}'])
crun = lambda i: [*theirs, 'run', '-b', bundle, f'c{i}']
measure('engine run --rm --network none', lambda i: [*engine[:-2], '--network', 'none', *engine[-2:], 'true'], crun)
measure('engine run --rm (bridge)', lambda i: [*engine, 'true'], crun)
config['process']['args'] = ['sleep', '1000']
json.dump(config, open(bundle + '/config.json', 'w'))
for command in (ours, theirs): subprocess.check_call([*command, 'run', '-d', '-b', bundle, 'long'], stdin=null, stdout=null)
measure('oci exec true', lambda i: [*ours, 'exec', 'long', 'true'], lambda i: [*theirs, 'exec', 'long', 'true'])
for command in (ours, theirs): subprocess.check_call([*command, 'delete', '-f', 'long'])
def peak(args):
    subprocess.check_call(['/usr/bin/env', 'python3', '-c', '''
import os, sys, resource, subprocess
subprocess.check_call(sys.argv[1:], stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)''', *args])
config['process']['args'] = ['true']
json.dump(config, open(bundle + '/config.json', 'w'))
print('peak KiB of run, box then crun (an interpreter of some MiB forks it):', flush=True)
peak([*ours, 'run', '-b', bundle, 'm1']); peak([*theirs, 'run', '-b', bundle, 'm2'])
P
if [ -e /sys/fs/cgroup/unified/cgroup.controllers ]; then
    exec unshare -m --propagation private sh -c '
        umount /sys/fs/cgroup/unified 2>/dev/null || true
        python3 "$0/run.py" "$1" "$0" "$2"; rm -rf "$0"' "$work" "$box" "$rounds"
fi
python3 "$work/run.py" "$box" "$work" "$rounds"
