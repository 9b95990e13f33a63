# SPDX-License-Identifier: BSD-3-Clause
# demo.py - `ferry demo`: one command, a moved guest, a report; and nothing left behind, however it ends
import json
import os
import select
import signal
import subprocess
import tempfile

from ferry import DONE, FAILED, FERRY, PATIENCE, Case, guest, main, run

SLOW = ("--max-bandwidth", "4MiB/s")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


class Demo(Case):
    def test_report_in_words(self):
        status, out, err = run("demo", "--guest", guest(), "--run-on", "20ms")
        self.assertEqual(status, DONE, err)
        lines = out.splitlines()
        self.assertLess(len(lines), 25)
        self.assertLessEqual(max(map(len, lines)), 100)
        for word in ("guest", "total time", "downtime", "blackout", "on the wire", "cpu", "verified"):
            self.assertTrue(any(line.startswith("  " + word) for line in lines), word)
        self.assertIn("0 mismatched, 0 lost writes", out)
        self.assertIn("over tcp:127.0.0.1:", lines[0])
        self.assertNotIn("\r", err)

    def test_report_in_json(self):
        status, out, err = run("demo", "--guest", guest(), "--run-on", "20ms", "--json", "-")
        self.assertEqual(status, DONE, err)
        report = json.loads(out)
        self.assertEqual(report["status"], "completed")
        self.assertEqual((report["verify"]["mismatched"], report["verify"]["lost-writes"]), (0, 0))
        self.assertEqual(report["verify"], report["destination"]["verify"])
        self.assertEqual(report["downtime"], report["source"]["downtime"])
        self.assertEqual(report["guest-blackout"], report["destination"]["guest-blackout"])
        self.assertEqual((report["source"]["side"], report["destination"]["side"]), ("source", "destination"))

    def test_over_unix_with_settings(self):
        status, out, err = run("demo", "--guest", guest(), "--run-on", "20ms", "--via", "unix", "--downtime-limit",
                               "50ms", "--tracker=uffd-sync", "--json=-")
        self.assertEqual(status, DONE, err)
        report = json.loads(out)
        self.assertIn("unix:@", report["channels"][0]["address"])
        self.assertIn("uffd-sync", report["source"]["tracker"])

    def begun(self):
        """A demo in the middle of it, and descriptors that become readable when its two processes are gone."""
        log = tempfile.TemporaryFile("w+")
        process = subprocess.Popen([FERRY, "demo", "--guest", guest(), *SLOW], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=subprocess.PIPE, text=True)
        self.addCleanup(log.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(lambda: process.poll() is None and process.kill())
        for line in process.stderr:
            if "listens on" in line:
                break
        ends = [os.pidfd_open(child) for child in children_of(process.pid)]
        self.addCleanup(lambda: [os.close(end) for end in ends])
        self.assertGreaterEqual(len(ends), 1)
        return process, ends, log

    def assert_gone(self, ends):
        for end in ends:
            self.assertTrue(select.select([end], [], [], PATIENCE)[0], "a process outlived the demo")

    def test_cancelled(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            process, ends, _ = self.begun()
            process.send_signal(number)
            err = process.stderr.read()
            self.assertEqual(process.wait(timeout=PATIENCE), FAILED, err)
            self.assertIn("cancel", err)
            self.assert_gone(ends)

    def test_killed(self):
        process, ends, _ = self.begun()
        process.kill()
        process.wait(timeout=PATIENCE)
        self.assert_gone(ends)

    def test_one_side_killed(self):
        process, ends, log = self.begun()
        os.kill(children_of(process.pid)[0], signal.SIGKILL)
        err = process.stderr.read()
        self.assertEqual(process.wait(timeout=PATIENCE), FAILED, err)
        self.assert_gone(ends)


if __name__ == "__main__":
    main()
