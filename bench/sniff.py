#!/usr/bin/env python3
"""box sniff beside tcpdump: CPU of reading a capture, alternating runs, medians and ratios.

usage: bench/sniff.py BOX [RUNS]        BOX is the binary; needs tcpdump

The captures are made here (fixed seed): a mix of TCP and DNS, small segments, and a flood of 60,000
sources. Output goes to /dev/null with TZ set, the page cache is warm. Ratio: tcpdump's CPU seconds by
box's.
"""
import os, random, statistics, struct, subprocess, sys, tempfile


def ipv4(src, dst, proto, payload):
    head = struct.pack('>BBHHHBBH4s4s', 0x45, 0, 20 + len(payload), 1, 0x4000, 64, proto, 0, src, dst)
    total = sum(struct.unpack('>10H', head))
    total = (total & 0xffff) + (total >> 16)
    total = (total & 0xffff) + (total >> 16)
    return head[:10] + struct.pack('>H', ~total & 0xffff) + head[12:] + payload


def tcp(sport, dport, seq, ack, data):
    options = b'\x01\x01\x08\x0a' + struct.pack('>II', seq & 0xffff, ack & 0xffff)
    return struct.pack('>HHIIBBHHH', sport, dport, seq & 0xffffffff, ack & 0xffffffff, 0x80, 0x18 if data else 0x10, 501, 0, 0) + options + data


def dns(rng):
    name = b'\x03www\x09host%05d\x07example\x03org\x00' % rng.randrange(100000)
    message = struct.pack('>HHHHHH', rng.randrange(65536), 0x0100, 1, 0, 0, 0) + name + b'\x00\x01\x00\x01'
    return struct.pack('>HHHH', rng.randrange(1024, 65536), 53, 8 + len(message), 0) + message


def write(path, packets):
    with open(path, 'wb') as out:
        out.write(struct.pack('<IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 262144, 1))
        for index, ip in enumerate(packets):
            frame = b'\x02\0\0\0\0\x01\x02\0\0\0\0\x02\x08\x00' + ip
            out.write(struct.pack('<IIII', 1700000000 + index // 10000, index % 10000 * 100, len(frame), len(frame)) + frame)


def captures(folder):
    rng = random.Random(5)
    hosts = [bytes([10, 0, rng.randrange(4), rng.randrange(1, 255)]) for _ in range(300)]
    servers = [bytes(rng.randrange(1, 250) for _ in range(4)) for _ in range(300)]

    def mix(count, large):
        for index in range(count):
            a, b = rng.choice(hosts), rng.choice(servers)
            if rng.random() < 0.1:
                yield ipv4(a, b, 17, dns(rng))
            else:
                data = bytes(1000) if large and rng.random() < 0.4 else b''
                yield ipv4(a, b, 6, tcp(rng.randrange(1024, 60000), 443, index * 977, index * 31, data))

    def flood(count):
        for index in range(count):
            yield ipv4(struct.pack('>I', 0x0a000000 + index), servers[0], 6, tcp(1024 + index % 60000, 443, index, 0, b''))

    for name, packets in (('mix', mix(200000, True)), ('small', mix(200000, False)), ('flood', flood(60000))):
        write(os.path.join(folder, name + '.pcap'), packets)


def cpu(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=dict(os.environ, TZ='GMT0'))
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f'{command} failed')
    return usage.ru_utime + usage.ru_stime


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    box, runs = os.path.abspath(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 5
    cases = [
        ('print', 'mix', ['-n']), ('print', 'small', ['-n']), ('print -v', 'mix', ['-nv']), ('print -X', 'mix', ['-nX']),
        ('print', 'flood', ['-n']), ('count, filter', 'mix', ['--count', 'tcp port 443']), ('rewrite', 'mix', ['-w', '/dev/null']),
    ]
    with tempfile.TemporaryDirectory() as folder:
        captures(folder)
        print(f"{'case':16} {'capture':8} {'tcpdump s':>10} {'box s':>8} {'ratio':>7}")
        for name, capture, words in cases:
            path = os.path.join(folder, capture + '.pcap')
            times = {'tcpdump': [], box: []}
            for _ in range(runs):
                for program, prefix in (('tcpdump', ['tcpdump']), (box, [box, 'sniff'])):
                    seconds = cpu(prefix + ['-r', path] + words)
                    times[program].append(seconds)
            theirs, ours = statistics.median(times['tcpdump']), statistics.median(times[box])
            print(f"{name:16} {capture:8} {theirs:10.3f} {ours:8.3f} {theirs / max(ours, 0.001):7.1f}")


main()
