#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# outrun.py - a guest that writes half as much again as its link carries: when the verdict comes, where the ladder ends,
# and what it brings that hot pages wait
#
#      outrun.py FERRY [PAIRS]      pairs of runs with and without hot pages last, in turns
import json
import os
import statistics
import subprocess
import sys
import tempfile

from cable import THERE, Link

FERRY = sys.argv[1]
PAIRS = int(sys.argv[2]) if len(sys.argv) > 2 else 3
RATE, CARRIED = "400mbit", 45.6  # MiB/s of memory
PATIENCE = 300
LIMIT = ("--downtime-limit", "300ms")
GUEST = f"pattern:size=256MiB,dirty={round(1.5 * CARRIED)}MiB/s,content=random"
HOT = f"{GUEST},hot=5%,hot-share=90%"
LADDERS = (("postcopy", ("--postcopy", "on", "--escalate", "channels,compress,postcopy")),
           ("give-up", ("--escalate", "channels,compress,throttle,give-up", "--max-cpu-throttle", "20")),
           ("throttle", ("--escalate", "channels,compress,throttle,give-up")))


def move(link, guest, *options):
    """Both reports."""
    with tempfile.TemporaryDirectory() as folder:
        sent, received = os.path.join(folder, "sent"), os.path.join(folder, "received")
        recv = subprocess.Popen([*link.inside(1), FERRY, "recv", f"tcp:{THERE}:4444", "--guest", "pattern", "--insecure",
                                 "--run-on", "20ms", "--quiet", "--json", received], stderr=subprocess.DEVNULL)
        try:
            subprocess.run([*link.inside(0), FERRY, "send", f"tcp:{THERE}:4444", "--guest", guest, *LIMIT, *options, "--quiet",
                            "--json", sent], check=False, timeout=PATIENCE, stderr=subprocess.DEVNULL)
            recv.wait(timeout=PATIENCE)
        finally:
            recv.kill()
            recv.wait()
        reports = []
        for path in sent, received:
            with open(path, encoding="utf-8") as f:
                reports.append(json.load(f))
        return reports


def mib(rate):
    return f"{rate / (1 << 20):.1f} MiB/s"


def climb(link, name, options):
    sent, received = move(link, GUEST, *options)
    unharmed = received if sent["status"] == "completed" else sent
    harm = received["verify"] if "verify" in received else {}
    print(f"{name}: {sent['status']} after {sent['total-time'] / 1000:.1f} s, {sent['ram']['dirty-sync-count']} rounds; the "
          f"guest runs {'there' if received['guest']['runs-here'] else 'here'} ({unharmed['guest']['runs-here']}), "
          f"pages that are wrong {harm.get('mismatched', '-')}, lost writes {harm.get('lost-writes', '-')}")
    if "error" in sent:
        print(f"    {sent['error']['code']}: {sent['error']['text']}")
    for step in sent["escalation"]:
        after = f" -> {mib(step['after']['dirty-bytes-per-second'])}" if "after" in step else ""
        print(f"    round {step['round']} at {step['at'] / 1000:.1f} s: {step['what']} {step['value'] or ''} {step['outcome']}; "
              f"carried {mib(step['before']['bytes-per-second'])}, written {mib(step['before']['dirty-bytes-per-second'])}"
              f"{after}")


def wait_hot(link):
    saved, rows = [], {"last": [], "as-found": []}
    for turn in range(PAIRS):
        for how in ("last", "as-found") if turn % 2 == 0 else ("as-found", "last"):
            sent, received = move(link, HOT, "--hot-pages", how, "--give-up-after", "20")
            rows[how].append(sent)
            print(f"    {how}: {sent['status']}, {sent['ram']['transferred'] >> 20} MiB in {sent['total-time'] / 1000:.1f} s, "
                  f"blackout {received.get('guest-blackout', 0):.0f} ms; by its own count saved "
                  f"{sent.get('hot-pages', {}).get('saved-bytes', 0) >> 20} MiB", flush=True)
        saved.append(1 - rows["last"][-1]["ram"]["transferred"] / rows["as-found"][-1]["ram"]["transferred"])
    print(f"hot pages last: {100 * statistics.median(saved):.0f} % of the bytes saved, median of {PAIRS} pairs")


def main():
    link = Link()
    try:
        link.rate(RATE)
        for name, options in LADDERS:
            climb(link, name, options)
        wait_hot(link)
    finally:
        link.close()


main()
