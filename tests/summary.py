#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# summary.py - how a run of `meson test` went: skips with their reasons, failures by name, one line of counts
#
# A skip is a test that exits 77, or a line "SKIP: needs THING: DETAIL" in the output of one that went on without a
# part of itself; either counts.  With --strict a skip fails when tests/probe.py finds the thing on this machine.
import argparse
import json
import os
import re
import sys

import probe

GOOD = ("OK", "EXPECTEDFAIL")
SKIP_LINE = re.compile(r"^SKIP: needs (\S+?)(?:: *(.*))?$")


def read_log(build):
    path = os.path.join(build, "meson-logs", "testlog.json")
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def sanitized(build):
    path = os.path.join(build, "meson-info", "intro-buildoptions.json")
    if not os.path.exists(path):
        return False
    with open(path) as f:
        return any(o["name"] == "b_sanitize" and o["value"] != "none" for o in json.load(f))


def skips_of(test):
    """The reasons, as lines, for which this test did not run, or not all of it."""
    lines = (test.get("stdout", "") + "\n" + test.get("stderr", "")).splitlines()
    reasons = list(dict.fromkeys(line.strip() for line in lines if line.strip().startswith("SKIP:")))
    if not reasons and (test["result"] == "SKIP" or any(line.startswith("[  SKIPPED ] ") for line in lines)):
        reasons = ["no reason given"]
    return reasons


def complaint(reason, is_sanitized):
    """Why this skip is not to be accepted on this machine, or None."""
    match = SKIP_LINE.match(reason)
    if not match:
        return "the reason does not read 'SKIP: needs THING: DETAIL'"
    thing, detail = match.group(1), match.group(2) or ""
    if thing == "no-sanitizer":
        return None if is_sanitized else "this build has no sanitizer"
    if thing not in probe.THINGS:
        return f"tests/probe.py does not know '{thing}'"
    return f"this machine has {thing}" if probe.present(thing, detail) else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--status", type=int, default=0, help="exit status of meson test, or of the build")
    parser.add_argument("--strict", action="store_true")
    parser.add_argument("-o", dest="counts", help="append the three numbers to this file")
    args = parser.parse_args()

    tests = read_log(args.build)
    passed = failed = skipped = 0
    is_sanitized = sanitized(args.build)
    for test in tests:
        reasons = skips_of(test)
        if test["result"] in GOOD:
            passed += 1
        elif test["result"] != "SKIP":
            failed += 1
            print(f"failed: {test['name']} ({test['result']})")
        for reason in reasons:
            wrong = complaint(reason, is_sanitized) if args.strict else None
            if wrong:
                failed += 1
                print(f"failed: {test['name']} skipped, but {wrong}: {reason}")
            else:
                skipped += 1
                print(f"skipped: {test['name']}: {reason.removeprefix('SKIP: ')}")
    if args.status and not failed:
        failed = 1
        print("failed: the build" if not tests else "failed: meson test")
    elif not tests:
        failed = 1
        print("failed: not one test was run")
    if args.counts:
        with open(args.counts, "a") as f:
            f.write(f"{passed} {failed} {skipped}\n")
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
