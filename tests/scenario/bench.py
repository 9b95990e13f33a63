# SPDX-License-Identifier: BSD-3-Clause
# bench.py - every benchmark runs, says what it measures, and puts the limit beside each figure; how fast is not asked
import json
import os
import subprocess
import sys
import unittest

from ferry import FERRY, missing

FOLDER, PATIENCE = os.environ["BENCH"], 200
END_TO_END = os.path.join(os.path.dirname(__file__), "..", "..", "bench", "end_to_end.py")

# Sizes at which each is done at once.
PROGRAMS = {
    "channel": ["size=4MiB"],
    "channels": ["size=4MiB"],
    "codec": ["size=512KiB"],
    "file": ["size=4MiB"],
    "scan": ["size=16MiB"],
    "tls": ["size=4MiB"],
    "zero": ["size=1MiB"],
}
NEEDS = {"scan": "wp-async", "file": "userfaultfd"}


def run(name, *argv):
    done = subprocess.run([os.path.join(FOLDER, "bench-" + name), *argv], stdin=subprocess.DEVNULL, timeout=PATIENCE,
                          capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def figures(row):
    """All groups of a figure, its limit and their ratio within a result."""
    if "limit" in row:
        yield row
    for value in row.values():
        if isinstance(value, dict):
            yield from figures(value)


class Bench(unittest.TestCase):
    def test_each_prints_figures_and_their_limits(self):
        for name, argv in PROGRAMS.items():
            if name in NEEDS and missing(NEEDS[name]):
                continue
            with self.subTest(name):
                status, out, err = run(name, *argv, "runs=1")
                self.assertEqual((status, err), (0, ""))
                report = json.loads(out)
                self.assertEqual(report["bench"], name)
                self.assertEqual(report["settings"]["runs"], 1)
                self.assertGreaterEqual(report["machine"]["processors"], 1)
                self.assertGreater(len(report["results"]), 0)
                for row in report["results"]:
                    found = list(figures(row))
                    self.assertGreater(len(found), 0, row)
                    for one in found:
                        self.assertEqual(len(one["runs"]), 1)
                        self.assertGreater(one["limit"], 0, row)
                        self.assertGreater(one.get("rate", 0) + one.get("ns", 0), 0, row)
                        self.assertGreater(one["ratio"], 0, row)

    def test_end_to_end_moves_guests_beside_bare_streams(self):
        if missing("userfaultfd"):
            return
        done = subprocess.run([sys.executable, END_TO_END, "--ferry", FERRY, "--bench", FOLDER, "--runs", "1", "--cold",
                               "--guest", "pattern:size=8MiB", "uri=unix", "tls=psk,downtime-limit=20ms"],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        rows = json.loads(done.stdout)["results"]
        self.assertEqual([row["settings"] for row in rows], ["uri=unix", "tls=psk,downtime-limit=20ms"])
        for row in rows:
            for name in ("rate", "limit", "ratio", "blackout_ms", "wire_bytes"):
                self.assertGreater(row[name], 0, row)

    def test_help_fits_a_screen_and_names_every_setting(self):
        for name in PROGRAMS:
            with self.subTest(name):
                status, out, err = run(name, "--help")
                lines = out.splitlines()
                self.assertEqual((status, err), (0, ""))
                self.assertLessEqual(len(lines), 40)
                self.assertLessEqual(max(map(len, lines)), 90)
                self.assertIn("\n  runs ", out)

    def test_what_is_no_setting_is_refused(self):
        for name in PROGRAMS:
            for argument in ("size", "size=much", "runs=0", "colour=red", "-x"):
                with self.subTest((name, argument)):
                    status, out, err = run(name, argument)
                    self.assertEqual((status, out), (1, ""))
                    self.assertIn("bench-" + name + ": ", err)
                    self.assertEqual(len(err.splitlines()), 1)


if __name__ == "__main__":
    unittest.main(verbosity=2)
