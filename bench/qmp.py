#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# qmp.py - what clients that mean no good cost a migration: its time, and the memory of its source, with and without 200
# of them on the source's QMP socket
#
#     bench/qmp.py FERRY [PAIRS]      pairs, in turns, whose order changes; a line of JSON each, then the medians
#
# The clients are not Ferry's, and on this host only because there is no other: in both arms of a pair the same 200 run,
# with SCHED_IDLE, in one arm on the source's socket and in the other on that of another Ferry, which moves nothing and
# has SCHED_IDLE, too.  What is compared is the time that the source reports, as fast as it goes (where all processors
# are busy, and each share that QMP takes is missed) and at a limit; and the processor time of the QMP thread beside all
# of the source's.
import json
import multiprocessing
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time

FERRY = sys.argv[1] if len(sys.argv) > 1 else "ferry"
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 5
SCENES = (("at 100 MiB/s", "512MiB", "10MiB/s", "100MiB/s"), ("as fast as it goes", "1GiB", "10MiB/s", "unlimited"))
HOSTILE = 200
WAYS = (os.urandom(20000), b'{"execute": "qmp_capabilities"}{"execute": "query-mig', b'{"execute": "' + b"x" * (10 << 20),
        b'{"execute": "qmp_capabilities"}' + b'{"execute": "x-ferry-query-options"}\n' * 20000)


class Client:
    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        while self.socket.connect_ex(path):
            time.sleep(0.05)
        self.lines = self.socket.makefile("r")
        self.lines.readline()
        self.do("qmp_capabilities")

    def do(self, name, /, **arguments):
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode())
        while "event" in (answer := json.loads(self.lines.readline())):
            pass
        return answer["return"]


def stand_back():
    """Whoever is not Ferry gets what Ferry leaves."""
    os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))


def harm(path):
    """All 200 in one process: each connects, sends its kind of harm as far as it is taken, and begins again."""
    stand_back()
    clients = {}
    while True:
        for number in range(HOSTILE):
            client, sent = clients.get(number, (None, 0))
            try:
                if client is None:
                    client, sent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK), 0
                    client.connect(path)
                sent += client.send(WAYS[number % 4][sent:sent + (256 << 10)])
                if sent == len(WAYS[number % 4]) and number % 4 != 1:
                    client.close()
                    client = None
            except BlockingIOError:
                pass
            except OSError:
                client.close()
                client = None
            clients[number] = (client, sent)
        time.sleep(0.02)


def memory_kib(process):
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))


def ticks(path):
    with open(path) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def cpu_seconds(process):
    """Of all of it, and of its QMP thread."""
    folder = f"/proc/{process.pid}/task"
    of_qmp = 0
    for task in os.listdir(folder):
        with open(f"{folder}/{task}/comm") as f:
            if f.read() == "qmp\n":
                of_qmp = ticks(f"{folder}/{task}/stat")
    return ticks(f"/proc/{process.pid}/stat"), of_qmp


def move(folder, sides, source, destination):
    before, begun = memory_kib(sides[1]), cpu_seconds(sides[1])
    most = before
    destination.do("migrate-incoming", uri=f"unix:{folder}/m")
    source.do("migrate", uri=f"unix:{folder}/m")
    while (about := source.do("query-migrate"))["status"] not in ("completed", "failed"):
        most = max(most, memory_kib(sides[1]))
        time.sleep(0.1)
    if about["status"] != "completed":
        raise SystemExit(about)
    cpu = [round(now - then, 2) for now, then in zip(cpu_seconds(sides[1]), begun)]
    return {"total-time": about["total-time"], "downtime": about["downtime"], "memory-growth-kib": most - before,
            "cpu": cpu[0], "cpu-of-qmp": cpu[1]}


def migrate(scene, hostile):
    name, size, dirty, rate = scene
    with tempfile.TemporaryDirectory(prefix="ferry-bench-") as folder:
        here, there, other = (os.path.join(folder, name) for name in "sdo")
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        sides = [subprocess.Popen([FERRY, "recv", "--guest", "pattern", "--run-on", "20ms", "--qmp", f"unix:{there}"],
                                  **quiet),
                 subprocess.Popen([FERRY, "send", "--guest", f"pattern:size={size},dirty={dirty}", "--max-bandwidth", rate,
                                   "--qmp", f"unix:{here}"], **quiet)]
        source, destination = Client(here), Client(there)
        elsewhere = subprocess.Popen([FERRY, "send", "--guest", "pattern:size=4MiB,dirty=0", "--qmp", f"unix:{other}"],
                                     preexec_fn=stand_back, **quiet)
        crowd = multiprocessing.Process(target=harm, args=(here if hostile else other,), daemon=True)
        crowd.start()
        time.sleep(1)
        figures = move(folder, sides, source, destination)
        crowd.kill()
        crowd.join()
        elsewhere.kill()
        elsewhere.wait()
        source.do("quit")
        destination.do("quit")
        for side in sides:
            side.wait()
        return {"scene": name, "hostile": hostile, **figures}


def tell(name, rows):
    plain, harmed = ([row for row in rows if row["hostile"] == hostile] for hostile in (False, True))

    def median(kind, key):
        return statistics.median(row[key] for row in kind)

    times = [median(kind, "total-time") for kind in (plain, harmed)]
    best = [min(row["total-time"] for row in kind) for kind in (plain, harmed)]
    print(f"{name}: total time, median of {len(plain)}: {times[0]} ms with the clients elsewhere, {times[1]} ms with them "
          f"here: {100 * (times[1] / times[0] - 1):+.1f} %; the fastest {best[0]} and {best[1]} ms: "
          f"{100 * (best[1] / best[0] - 1):+.1f} %; downtime {median(plain, 'downtime')} and "
          f"{median(harmed, 'downtime')} ms; memory grew by at most {max(row['memory-growth-kib'] for row in plain)} and "
          f"{max(row['memory-growth-kib'] for row in harmed)} KiB; of {median(harmed, 'cpu'):.2f} s of processor time "
          f"{median(harmed, 'cpu-of-qmp'):.2f} s were QMP's ({median(plain, 'cpu'):.2f} s in all without)")


def main():
    for scene in SCENES:
        rows = []
        for turn in range(PAIRS):
            for hostile in (False, True) if turn % 2 == 0 else (True, False):
                rows.append(migrate(scene, hostile))
                print(json.dumps(rows[-1]), flush=True)
        tell(scene[0], rows)


if __name__ == "__main__":
    main()
