#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# plan_check.py - `ferry plan` before each of twenty migrations, and then the migration: how far off was it?
#
#      plan_check.py FERRY [ROWS [FOLDER]]     ROWS: only the first so many; FOLDER: where plans and reports are kept
#
# Two network namespaces with tc's tbf between them are the link.  A total time counts as met within 20 %, a blackout
# within a factor of 2; a "go" must converge and a "no" must not (within 3 rounds that say so).
import json
import os
import subprocess
import sys
import tempfile

from cable import THERE, Link

FERRY = sys.argv[1]
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else None
FOLDER = sys.argv[3] if len(sys.argv) > 3 else None
PATIENCE = 120
LIMIT = ("--downtime-limit", "300ms")

# link, guest, further options
CASES = [(link, f"pattern:size={guest}", options) for link, guest, options in (
    ("400mbit", "64MiB,dirty=0", ()),
    ("400mbit", "96MiB,dirty=10MiB/s", ()),
    ("400mbit", "96MiB,dirty=25MiB/s,zero=50%", ()),
    ("400mbit", "64MiB,dirty=80MiB/s", ()),
    ("400mbit", "96MiB,dirty=35MiB/s,hot=10%", ()),
    ("800mbit", "128MiB,dirty=20MiB/s", ()),
    ("800mbit", "128MiB,dirty=60MiB/s,pattern=sequential", ()),
    ("800mbit", "128MiB,dirty=100MiB/s,hot=5%,hot-share=90%", ()),
    ("800mbit", "128MiB,dirty=200MiB/s", ()),
    ("800mbit", "192MiB,dirty=40MiB/s,zero=30%", ("--channels", "0")),
    ("1gbit", "192MiB,dirty=0,untouched=1GiB", ()),
    ("1gbit", "192MiB,dirty=50MiB/s", ()),
    ("1gbit", "128MiB,dirty=300MiB/s,hot=5%", ()),
    ("1gbit", "128MiB,dirty=180MiB/s", ()),
    ("1gbit", "192MiB,dirty=80MiB/s", ("--max-bandwidth", "100MiB/s")),
    ("1gbit", "128MiB,dirty=90MiB/s,pattern=sequential", ("--max-bandwidth", "40MiB/s")),
    ("2gbit", "256MiB,dirty=50MiB/s", ()),
    ("2gbit", "256MiB,dirty=120MiB/s", ()),
    ("2gbit", "256MiB,dirty=100MiB/s,hot=25%", ("--channels", "4")),
    ("2gbit", "256MiB,dirty=20MiB/s", ("--max-bandwidth", "120MiB/s")),
)]


def receiver(link, path):
    recv = subprocess.Popen([*link.inside(1), FERRY, "recv", f"tcp:{THERE}:4444", "--guest", "pattern", "--insecure",
                             "--run-on", "20ms", "--quiet", "--json", path], stderr=subprocess.PIPE)
    return recv


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def keep(number, **reports):
    if FOLDER:
        os.makedirs(FOLDER, exist_ok=True)
        with open(os.path.join(FOLDER, f"{number}.json"), "w", encoding="utf-8") as f:
            json.dump(reports, f, indent=1)


def row(link, case, folder):
    rate, guest, options = case
    plan, sent, received = (os.path.join(folder, name) for name in ("plan", "sent", "received"))
    link.rate(rate)
    recv = receiver(link, received)
    try:
        uri = f"tcp:{THERE}:4444"
        subprocess.run([*link.inside(0), FERRY, "plan", uri, "--guest", guest, *LIMIT, *options, "--json", plan],
                       check=False, timeout=PATIENCE, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        subprocess.run([*link.inside(0), FERRY, "send", uri, "--guest", guest, *LIMIT, *options, "--give-up-after", "3",
                        "--quiet", "--json", sent], check=False, timeout=PATIENCE, stderr=subprocess.DEVNULL,
                       stdout=subprocess.DEVNULL)
        recv.wait(timeout=PATIENCE)
        return load(plan), load(sent), load(received)
    finally:
        recv.kill()
        recv.communicate()


def compare(case, plan, sent, received):
    """A line of the table, and whether each of the three held."""
    went = sent["status"] == "completed"
    verdict = (plan["plan"] == "go") == went
    total = blackout = None
    if went and plan["plan"] == "go":
        took = sent["total-time-us"] / 1000
        dark = received.get("guest-blackout", sent["downtime"])
        total = plan["total-time"]["likely"] / took
        blackout = plan["blackout"]["likely"] / dark
        figures = (f"{plan['total-time']['likely']:8.0f} {took:8.0f} {total:5.2f}   "
                   f"{plan['blackout']['likely']:8.1f} {dark:8.1f} {blackout:5.2f}")
    else:
        figures = " " * 47
    line = f"{case[0]:8} {case[1][8:]:46} {plan['plan']:3} {'went' if went else 'did not':8} {figures}"
    return line, verdict, total is None or 0.8 <= total <= 1.25, blackout is None or 0.5 <= blackout <= 2


def main():
    link = Link()
    kept, failed = [], 0
    print(f"{'link':8} {'guest':46} {'plan':3} {'it':8} {'total ms: plan, was, ratio':24} blackout ms: plan, was, ratio")
    try:
        with tempfile.TemporaryDirectory() as folder:
            for number, case in enumerate(CASES[:ROWS]):
                try:
                    plan, sent, received = row(link, case, folder)
                    keep(number, case=case, plan=plan, sent=sent, received=received)
                    line, *held = compare(case, plan, sent, received)
                except (OSError, subprocess.TimeoutExpired, ValueError) as error:
                    failed += 1
                    print(f"{case[0]:8} {case[1][8:]:46} {error}", flush=True)
                    continue
                kept.append(held)
                print(line + ("" if all(held) else "  <--"), flush=True)
    finally:
        link.close()
    names = ("verdict", "total within 20 %", "blackout within 2 x")
    print("; ".join(f"{name}: {sum(held[i] for held in kept)} of {len(kept)}" for i, name in enumerate(names)),
          f"; rows that failed: {failed}" if failed else "")


main()
