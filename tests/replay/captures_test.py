# SPDX-License-Identifier: BSD-3-Clause
# captures_test.py - streams of real QEMUs: parsed to the last byte, memory as it was, every device sized exactly
#
# They are not part of the source: $FERRY_CAPTURES names their folder, else they lie beside the source.  Its README.md
# has the digest of each one's memory.
import gzip
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BESIDE = os.path.join("..", "shared", "captures")
FOLDER = os.environ.get("FERRY_CAPTURES") or os.path.join(TOP, BESIDE)
FERRY = os.environ["FERRY"]
PATIENCE = 60
GOLDEN_BLOCK = "e8091f0d80bb48ae72396f526781d1d0fab1251f0cadc9393914040e5762ef31"
DEVICES = {"plain-pc-7.2": 31, "plain-pc-10.0": 31, "plain-q35-uuid-10.0": 30}


class Captures(unittest.TestCase):
    def inspect(self, name, *argv):
        """Status, report, memory, and the number of bytes in the stream."""
        with gzip.open(os.path.join(FOLDER, name + ".gz")) as f:
            stream = f.read()
        with tempfile.TemporaryDirectory() as folder:
            ram = os.path.join(folder, "ram")
            done = subprocess.run([FERRY, "inspect", "-", "--json", "-", "--ram", ram, *argv], input=stream,
                                  capture_output=True, timeout=PATIENCE)
            with open(ram, "rb") as f:
                memory = f.read()
        self.assertEqual(done.stderr, b"")
        return done.returncode, json.loads(done.stdout), memory, len(stream)

    def digest(self, name):
        with open(os.path.join(FOLDER, "README.md")) as f:
            entry = next(line for line in f if line.startswith(f"- **{name}**"))
        return re.search(r"RAM sha256 \(16777216 bytes\) `([0-9a-f]{64})`", entry).group(1)

    def whole(self, name, file, digest):
        for verbose in ([], ["--verbose"]):
            status, report, memory, size = self.inspect(file, *verbose)
            self.assertEqual(status, 0, report.get("error"))
            self.assertEqual(report["notes"], [])
            self.assertEqual(hashlib.sha256(memory).hexdigest(), digest)
            end = 0
            for item in report["items"]:
                self.assertEqual(item["offset"], end, item)
                end += item["size"]
            self.assertEqual((end, report["bytes"]), (size, size))
            for device in report["devices"]:
                self.assertEqual(device["sized-by"], "description", device["name"])
                self.assertTrue(device["fields"], device["name"])
        return report

    def device(self, report, name):
        return next(device for device in report["devices"] if device["name"] == name)

    def test_plain(self):
        for name, devices in DEVICES.items():
            with self.subTest(name):
                report = self.whole(name, name + ".bin", self.digest(name))
                self.assertEqual(len(report["devices"]), devices)
                state = {field["name"]: field for field in self.device(report, "globalstate")["fields"]}
                self.assertTrue(state["runstate"]["value"].startswith(b"paused\0".hex()))
                timer = self.device(report, "timer")["fields"]
                self.assertEqual([field["name"] for field in timer],
                                 ["cpu_ticks_offset", "unused", "cpu_clock_offset"])
                self.assertIsInstance(timer[0]["value"], int)
                self.assertEqual(len(self.device(report, "cpu")["fields"][0]["value"]), 16)

    def test_configuration(self):
        _, report, _, _ = self.inspect("plain-q35-uuid-10.0.bin")
        self.assertEqual(report["configuration"], {"machine": "pc-q35-10.0", "capabilities": [],
                                                   "uuid": "12345678-9abc-def0-1122-334455667788"})

    def test_return_path(self):
        name = "returnpath-switchoverack-10.0"
        report = self.whole(name, name + ".conn0", self.digest(name))
        commands = [item["command"] for item in report["items"] if item["type"] == "command"]
        self.assertEqual(commands, ["open-return-path", "ping", "switchover-start"])

    def test_differences(self):
        self.whole("xbzrle-7.2", "xbzrle-7.2.bin", self.digest("xbzrle-7.2"))

    def test_golden(self):
        self.whole("synthetic-golden", "synthetic-golden.bin", GOLDEN_BLOCK)

    def test_what_is_not_understood_is_named(self):
        for file, says in (("mapped-ram-10.0.bin", "mapped-ram"), ("multifd-none-10.0.conn0", "further connections"),
                           ("multifd-none-oldflush-10.0.conn0", "further connections"),
                           ("multifd-zlib-7.2.conn0", "further connections"), ("postcopy-10.0.conn0", "postcopy"),
                           ("postcopy-7.2.conn0", "postcopy")):
            with self.subTest(file):
                status, report, _, _ = self.inspect(file)
                self.assertEqual(status, 1)
                self.assertIn(says, report["error"]["text"])
                self.assertIn("configuration", report)

    def test_any_prefix_ends_with_a_sentence(self):
        with gzip.open(os.path.join(FOLDER, "plain-pc-10.0.bin.gz")) as f:
            stream = f.read()
        for cut in range(len(stream) // 40, len(stream), len(stream) // 40):
            done = subprocess.run([FERRY, "inspect", "-"], input=stream[:cut], capture_output=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, 1)
            self.assertIn(b"\nstopped: stdin: byte ", done.stdout)


if __name__ == "__main__":
    if not os.path.exists(os.path.join(FOLDER, "README.md")):
        print(f"SKIP: needs file: {os.path.join(BESIDE, 'README.md')} captures of QEMU's streams")
        sys.exit(77)
    unittest.main(verbosity=2)
