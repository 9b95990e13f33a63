#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# switchover.py - spin tries every order of steps, kills, losses and replays on switchover.pml
#
# The protocol must hold in every search; each variant with one rule broken must be found out; and the rows of the
# decision that are called contradictions must be exactly those that cannot be reached.
# `switchover.py DEFINE...` makes one search, with more of everything: switchover.py KILLS=2 COPIES=3
import os
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = os.path.join(os.path.dirname(os.path.dirname(HERE)), "transport", "session")
COMPILER = os.environ.get("CC", "cc").split()
SECONDS = float(os.environ.get("FERRY_TEST_PATIENCE", "120"))

CALM = ("KILLS=1", "REPLAYS=1", "COPIES=1")
ONE = ("SESSIONS=1", *CALM)
TWO = ("SESSIONS=2", "KILLS=1", "BAD_NOTES=0", "CUTS=0")
NO_FILE = ("NO_DESTINATION_JOURNAL", "SESSIONS=1", "KILLS=1", "REPLAYS=3", "COPIES=0", "BAD_NOTES=0", "CUTS=0")

HOLDS = [
    ("one session, all that can go wrong", ONE),
    ("an undecided destination waits to be told", ("PATIENT", *ONE)),
    ("killed twice", ("SESSIONS=1", "KILLS=2", "REPLAYS=0", "COPIES=1")),
    ("two sessions, old messages", ("PATIENT", *TWO, "REPLAYS=1", "COPIES=0")),
    ("two sessions, old copies of journals", ("PATIENT", *TWO, "REPLAYS=0", "COPIES=1")),
    ("the destination keeps no journal", NO_FILE),
]
BROKEN = {
    "COMMIT_NOTED_LATE": ONE,
    "RUN_AFTER_A_DOUBTFUL_COMMIT": ONE,
    "DEADLINE_REVERTS": ONE,
    "START_AT_READY": ONE,
    "START_NOTED_LATE": ONE,
    "DECLINED_NOT_NOTED": ONE,
    "TOKEN_UNCHECKED": ("SESSIONS=2", "KILLS=0", "REPLAYS=1", "COPIES=1", "BAD_NOTES=0", "CUTS=0"),
    "SESSION_UNCHECKED": ("SESSIONS=2", "KILLS=0", "REPLAYS=1", "COPIES=1", "BAD_NOTES=0", "CUTS=0"),
    "NONCE_UNCHECKED": NO_FILE,
    "TOKEN_OF_COPY_UNCHECKED": NO_FILE,
    "READY_NOTED_LATE": ("LOOK", "SESSIONS=1", "KILLS=2", "REPLAYS=0"),
}
LOOK = ("LOOK", "SESSIONS=1", "KILLS=1", "REPLAYS=0", "COPIES=1")
STEPS = "NOTHING STARTED PREPARED/READY COMMITTED DONE/RUNNING ABORTED".split()


def run(folder, *argv):
    done = subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SECONDS)
    return done.returncode, done.stdout


def search(defines, rows=ROWS):
    """Returns (what went wrong or None, states, the model as spin got it, pan's words)."""
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "model.pml")
        for argv in ([*COMPILER, "-E", "-P", "-x", "c", "-I", rows, *("-D" + d for d in defines),
                      os.path.join(HERE, "switchover.pml"), "-o", model],
                     ["spin", "-a", model],
                     [*COMPILER, "-O1", "-w", "-DSAFETY", "-DNOREDUCE", "-DCOLLAPSE", "-DMEMLIM=1024", "-o", "pan",
                      "pan.c"]):
            status, words = run(folder, *argv)
            if status or "Error" in words:
                sys.exit(f"{' '.join(argv)}:\n{words}")
        _, words = run(folder, "./pan", "-E", "-m20000")
        wrong = re.search(r"^pan:1: (.*?) \(at depth", words, re.M)
        if not wrong and ("errors: 0" not in words or re.search("not completed|max search depth|memory limit", words)):
            sys.exit(f"{' '.join(defines)}: the search did not come to its end:\n{words}")
        with open(model, encoding="utf-8") as f:
            text = f.read().splitlines()
        return wrong and wrong.group(1), int(re.search(r"(\d+) states, stored", words).group(1)), text, words


def unreached(text, words):
    """The rows, as (source's step, destination's), that no look at both journals at one moment has met."""
    found = set()
    for number in re.findall(r"model\.pml:(\d+)", words.split("unreached in proctype recovery")[1]):
        if row := re.search(r"row = 10 \* (\d) \+ (\d)", text[int(number) - 1]):
            found.add((int(row.group(1)), int(row.group(2))))
    return found


def check_rows():
    _, states, text, words = search(LOOK)
    met = unreached(text, words)
    complaints = 0
    for line in text:
        row = re.search(r"row = 10 \* (\d) \+ (\d); verdict = (\d)", line)
        if not row or "0" in row.groups()[:2]:
            continue
        pair, contradiction = (int(row.group(1)), int(row.group(2))), row.group(3) == "3"
        if contradiction != (pair in met):
            complaints += 1
            print(f"row {STEPS[pair[0]]}, {STEPS[pair[1]]}: {'reached' if contradiction else 'never reached'}")
        met.discard(pair)
    print(f"holds: the contradictions are what cannot be reached ({states} states)")
    return complaints


def main():
    for tool in ("spin", COMPILER[0]):
        if not shutil.which(tool):
            print(f"SKIP: needs tools: {tool}")
            return 77
    if len(sys.argv) > 1:
        wrong, states, _, words = search(sys.argv[1:])
        print(words)
        return 1 if wrong else 0
    complaints = check_rows()
    for what, defines in HOLDS:
        wrong, states, _, _ = search(defines)
        print(f"{'FAILS' if wrong else 'holds'}: {what} ({states} states){': ' + wrong if wrong else ''}", flush=True)
        complaints += bool(wrong)
    for bug, defines in BROKEN.items():
        wrong, states, _, _ = search(("BUG_" + bug, *defines))
        print(f"{'found' if wrong else 'NOT FOUND'}: {bug} ({states} states)", flush=True)
        complaints += not wrong
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
