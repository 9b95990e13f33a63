# SPDX-License-Identifier: BSD-3-Clause
# demo.py - `ferry demo`: one command, a moved guest, a report; and nothing left behind, however it ends
import json
import os
import select
import signal
import subprocess
import tempfile

from ferry import DONE, FAILED, FERRY, PATIENCE, Case, guest, main, missing, run

PARTS = ["stop", "pages", "devices", "transfer", "load", "start"]
SLOW = ("--max-bandwidth", "4MiB/s")


def children_of(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as f:
        return [int(child) for child in f.read().split()]


def words_of(pid):
    with open(f"/proc/{pid}/cmdline") as f:
        return f.read().split("\0")


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

    def assert_agreed(self, report):
        """Both sides say the same of what they agreed to, and the source says how far away the other one is."""
        source, destination = report["source"]["peer"], report["destination"]["peer"]
        self.assertEqual(source["dialect"], "ferry")
        self.assertLess({"switchover-commit", "error-text", "heartbeat", "iterative"}, set(source["capabilities"]))
        self.assertEqual((destination["dialect"], destination["capabilities"]),
                         (source["dialect"], source["capabilities"]))
        self.assertGreater(source["round-trip"], 0)

    def assert_parts(self, source):
        """Where the downtime went adds up to it; each figure was cut to whole microseconds."""
        parts = source["downtime-parts"]
        self.assertEqual(list(parts), PARTS)
        self.assertGreaterEqual(min(parts.values()), 0)
        for part in "stop", "pages", "load", "start":
            self.assertGreater(parts[part], 0, part)
        total_us = round(sum(parts.values()) * 1000)
        self.assertLessEqual(total_us, source["downtime-us"])
        self.assertLess(source["downtime-us"] - total_us, len(PARTS))

    def test_what_was_agreed_and_where_the_downtime_went(self):
        for kind, spec in ("pattern", guest("32MiB")), ("kvm", "kvm:size=32MiB,dirty=20MiB/s"):
            if kind == "kvm" and missing("kvm"):
                continue
            for turn in range(5):
                with self.subTest(kind, turn=turn):
                    status, out, err = run("demo", "--guest", spec, "--run-on", "0s", "--json", "-", "--quiet")
                    self.assertEqual(status, DONE, err)
                    report = json.loads(out)
                    self.assertEqual((report["status"], report["verify"]["mismatched"]), ("completed", 0))
                    self.assert_agreed(report)
                    self.assert_parts(report["source"])

    def test_a_device_that_moves_in_rounds(self):
        spec = guest("32MiB", "10MiB/s", ",vfio=16MiB")
        status, out, err = run("demo", "--guest", spec, "--run-on", "20ms", "--json", "-")
        self.assertEqual(status, DONE, err)
        report = json.loads(out)
        self.assertEqual((report["verify"]["mismatched"], report["verify"]["lost-writes"]), (0, 0))
        # Its own memory and what it writes of the guest's are checked, too, and did not cross as pages of RAM.
        self.assertEqual(report["verify"]["pages"], (32 + 16 + 1) << 8)
        self.assertGreaterEqual(report["vfio"]["transferred"], 16 << 20)
        self.assertEqual(report["destination"]["vfio"], report["vfio"])
        self.assertEqual(report["source"]["ram"]["total"], (32 + 1) << 20)
        self.assertTrue(report["source"]["tracker"].endswith("+vfio-sim"), report["source"]["tracker"])
        self.assertIn("switchover-ack", report["source"]["peer"]["capabilities"])

    def still(self, channels):
        """A device whose memory can be read only while it stands still."""
        spec = guest("32MiB", "10MiB/s", ",vfio=16MiB,vfio-still=on")
        status, out, err = run("demo", "--guest", spec, "--run-on", "20ms", "--channels", str(channels),
                               "--downtime-limit", "20s", "--json", "-")
        self.assertEqual(status, DONE, err)
        report = json.loads(out)
        self.assertEqual((report["verify"]["mismatched"], report["verify"]["lost-writes"]), (0, 0))
        self.assertGreaterEqual(report["vfio"]["transferred"], 16 << 20)
        self.assertEqual(report["destination"]["vfio"], report["vfio"])
        return report

    def test_pieces_of_a_device_go_over_page_channels(self):
        report = self.still(2)
        self.assertIn("device-parts", report["source"]["peer"]["capabilities"])
        self.assertLess(report["channels"][0]["bytes"], 4 << 20)

    def test_a_device_goes_whole_where_there_are_none(self):
        self.assertGreater(self.still(0)["channels"][0]["bytes"], 48 << 20)

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

    def test_told_twice_it_puts_its_key_away(self):
        process, ends, _ = self.begun()
        folders = [word.partition("=")[2] for pid in children_of(process.pid) for word in words_of(pid)
                   if word.startswith("--tls-creds=")]
        self.assertTrue(folders and os.path.exists(folders[0]))
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        err = process.stderr.read()
        self.assertEqual(process.wait(timeout=PATIENCE), FAILED, err)
        self.assert_gone(ends)
        self.assertFalse(os.path.exists(os.path.dirname(folders[0])))

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
