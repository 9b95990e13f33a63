#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# two_hosts.py - `ferry bench` between two network namespaces, at 1 and 10 Gbit/s: 24 rows, killed in the middle, resumed
#
#      namespace of the bench  10.78.0.1 -- veth, tbf ~ ~ veth, tbf -- 10.78.0.2  namespace of `ferry bench --serve`
#
#   two_hosts.py FERRY FOLDER [AXIS...]    tables on stdout, files in FOLDER; status 1: a row failed or passed its ceiling
#
# A row passes its ceiling when the median of its ratios is above 1.05: bare streams are measured at another moment.
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

HERE, THERE, PORT = "10.78.0.1", "10.78.0.2", 4500
RATES = {"1gbit": "size=64MiB", "10gbit": "size=256MiB"}
AXES = ["channels=0,2", "tls=off,on", "dirty=0,20MiB/s,60MiB/s"]  # 12 rows at each rate
ABOVE = 1.05


class Host:
    """A network namespace, which ends with the process that keeps it."""

    def __init__(self):
        self.keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE)
        self.keeper.stdout.readline()

    def argv(self, *argv):
        return ["nsenter", "-t", str(self.keeper.pid), "-n", *argv]

    def run(self, *argv):
        subprocess.run(self.argv(*argv), check=True, timeout=30)

    def close(self):
        self.keeper.stdin.close()
        self.keeper.wait(10)


def connect(here, there, rate):
    here.run("ip", "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(there.keeper.pid))
    for host, address in (here, HERE), (there, THERE):
        host.run("ip", "address", "add", address + "/24", "dev", "cable")
        host.run("ip", "link", "set", "cable", "up")
        host.run("tc", "qdisc", "add", "dev", "cable", "root", "tbf", "rate", rate, "burst", "256kb", "latency", "20ms")


def bench(here, ferry, path, axes):
    """Killed once a few runs are done, then resumed."""
    words = here.argv(ferry, "bench", f"tcp:{THERE}:{PORT}", *axes, "--repetitions", "3", "--json", path)
    first = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    done = 0
    for line in first.stderr:
        done += line.startswith("run ")
        if done == 10:
            first.send_signal(signal.SIGKILL)
    first.wait(30)
    with open(path, encoding="utf-8") as file:
        print(f"killed after {len(file.readlines()) - 1} runs, then resumed", flush=True)
    time.sleep(1)
    subprocess.run(here.argv(ferry, "bench", "--resume", path, "--quiet"), check=False, timeout=3600)


def predictions(lines):
    """How good they were, over all runs, and over the medians of the rows."""
    made = [line["prediction"] for line in lines if "held" in line.get("prediction", {})]
    times = [line for line in lines if "total-time" in line.get("prediction", {})]
    rows = {line["row"]: [other for other in times if other["row"] == line["row"]] for line in times}

    def off(name, runs):
        return statistics.median(run["prediction"][name]["predicted"] / run["prediction"][name]["measured"]
                                 for run in runs)

    def within(name, groups, factor):
        return sum(1 / factor <= off(name, group) <= factor for group in groups)

    print(f"predicted: {sum(one['held'] for one in made)} of {len(made)} verdicts held")
    for words, groups in ("runs", [[line] for line in times]), ("rows", rows.values()):
        print(f"  of {len(groups)} {words} that went: {within('total-time', groups, 1.25)} total times within 20 %, "
              f"{within('blackout', groups, 2)} blackouts within 2 x, {within('rounds', groups, 1)} with as many rounds")
    if times:
        errors = sorted(abs(off("total-time", [line]) - 1) * 100 for line in times)
        print(f"  error of the total time: median {statistics.median(errors):.1f} %, "
              f"nine in ten within {errors[len(errors) * 9 // 10]:.1f} %", flush=True)


def judge(path):
    """How many rows failed somewhere, or passed their ceiling."""
    rows, bad = {}, 0
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file][1:]
    for line in lines:
        rows.setdefault(line["row"], []).append(line)
    for row, runs in sorted(rows.items()):
        ratios = [run["source"]["ram"]["mbps"] * 1e6 / 8 / run["ceiling"]["streams"] for run in runs
                  if run["status"] == "completed"]
        wrong = len(ratios) < len(runs) or statistics.median(ratios) > ABOVE
        bad += wrong
        if wrong:
            print(f"row {row}: ratios {ratios}, {len(runs) - len(ratios)} runs failed")
    predictions(lines)
    print(f"{len(rows)} rows, {len(lines)} runs, {bad} rows failed or above their ceiling", flush=True)
    return bad


def one_rate(ferry, folder, rate, axes):
    here, there = Host(), Host()
    path = os.path.join(folder, re.sub(r"\W", "-", rate) + ".jsonl")
    server = None
    try:
        connect(here, there, rate)
        server = subprocess.Popen(there.argv(ferry, "bench", "--serve", f"tcp:{THERE}:{PORT}", "--insecure", "--quiet"))
        time.sleep(1)
        print(f"\n{rate}", flush=True)
        bench(here, ferry, path, axes)
        return judge(path)
    finally:
        if server:
            server.terminate()
            server.wait(30)
        here.close()
        there.close()


def main():
    ferry, folder, axes = os.path.abspath(sys.argv[1]), sys.argv[2], sys.argv[3:] or AXES
    os.makedirs(folder, exist_ok=True)
    sys.exit(1 if sum(one_rate(ferry, folder, rate, [size, *axes]) for rate, size in RATES.items()) else 0)


if __name__ == "__main__":
    main()
