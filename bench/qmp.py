#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# qmp.py - what clients that mean no good cost a migration: its time, and the memory of its source, with and without 200
# of them on the source's QMP socket
#
#     bench/qmp.py FERRY [PAIRS]      pairs, interleaved; a line of JSON each, then the medians
#
# The clients are another process of this host, so that its processors must have room for both: the migration is
# limited to a rate that leaves some (RATE).  What is compared is the time that the source reports.
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
SIZE, RATE, DIRTY, HOSTILE = "512MiB", "100MiB/s", "10MiB/s", 200
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


def harm(path):
    """All 200 in one process: each connects, sends its kind of harm as far as it is taken, and begins again."""
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


def migrate(hostile):
    with tempfile.TemporaryDirectory(prefix="ferry-bench-") as folder:
        here, there = os.path.join(folder, "s"), os.path.join(folder, "d")
        quiet = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        sides = [subprocess.Popen([FERRY, "recv", "--guest", "pattern", "--run-on", "20ms", "--qmp", f"unix:{there}"],
                                  **quiet),
                 subprocess.Popen([FERRY, "send", "--guest", f"pattern:size={SIZE},dirty={DIRTY}", "--max-bandwidth", RATE,
                                   "--qmp", f"unix:{here}"], **quiet)]
        source, destination = Client(here), Client(there)
        crowd = multiprocessing.Process(target=harm, args=(here,), daemon=True)
        if hostile:
            crowd.start()
            time.sleep(1)
        before, most = memory_kib(sides[1]), 0
        destination.do("migrate-incoming", uri=f"unix:{folder}/m")
        source.do("migrate", uri=f"unix:{folder}/m")
        while (about := source.do("query-migrate"))["status"] not in ("completed", "failed"):
            most = max(most, memory_kib(sides[1]))
            time.sleep(0.2)
        if hostile:
            crowd.kill()
            crowd.join()
        source.do("quit")
        destination.do("quit")
        for side in sides:
            side.wait()
        if about["status"] != "completed":
            raise SystemExit(about)
        return {"hostile": hostile, "total-time": about["total-time"], "downtime": about["downtime"],
                "memory-growth-kib": most - before}


def main():
    rows = []
    for _ in range(PAIRS):
        for hostile in (False, True):
            rows.append(migrate(hostile))
            print(json.dumps(rows[-1]), flush=True)
    plain, with_them = ([row["total-time"] for row in rows if row["hostile"] == hostile] for hostile in (False, True))
    print(f"total time, median of {PAIRS}: {statistics.median(plain)} ms alone, {statistics.median(with_them)} ms with "
          f"{HOSTILE} clients: {100 * (statistics.median(with_them) / statistics.median(plain) - 1):+.1f} %")


if __name__ == "__main__":
    main()
