# SPDX-License-Identifier: BSD-3-Clause
# captures_test.py - streams of real QEMUs: parsed to the last byte, memory as it was, every device sized exactly
import gzip
import hashlib
import json
import os
import subprocess
import tempfile
import unittest

import captures
from captures import FERRY, FOLDER, PATIENCE

GOLDEN_BLOCK = "e8091f0d80bb48ae72396f526781d1d0fab1251f0cadc9393914040e5762ef31"
CHANNELS = {"multifd-none-10.0": 3, "multifd-none-oldflush-10.0": 2, "multifd-zlib-7.2": 2, "multifd-zstd-10.0": 2}
DEVICES = {"plain-pc-7.2": 31, "plain-pc-10.0": 31, "plain-q35-uuid-10.0": 30}


class Captures(unittest.TestCase):
    def inspect(self, name, *argv, channels=()):
        """Status, report, memory, and the number of bytes in the stream."""
        stream = captures.read(name)
        status, report, memory, said = captures.inspect(stream, *argv, channels=channels)
        self.assertEqual(said, b"")
        return status, report, memory, len(stream)

    def whole(self, name, file, digest, channels=()):
        for verbose in ([], ["--verbose"]):
            status, report, memory, size = self.inspect(file, *verbose, channels=channels)
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
                report = self.whole(name, name + ".bin", captures.digest(name))
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
        report = self.whole(name, name + ".conn0", captures.digest(name))
        commands = [item["command"] for item in report["items"] if item["type"] == "command"]
        self.assertEqual(commands, ["open-return-path", "ping", "switchover-start"])

    def test_differences(self):
        self.whole("xbzrle-7.2", "xbzrle-7.2.bin", captures.digest("xbzrle-7.2"))

    def channels(self, name):
        return [captures.read(f"{name}.conn{i}") for i in range(1, CHANNELS[name] + 1)]

    def test_page_channels(self):
        for name in CHANNELS:
            with self.subTest(name):
                channels = self.channels(name)
                report = self.whole(name, name + ".conn0", captures.digest(name), channels)
                for channel, found in zip(channels, report["connections"], strict=True):
                    self.assertEqual((found["bytes"], found["channel"], found["syncs"]), (len(channel), channel[24], 3))
                    self.assertEqual(found["codecs"], {name.split("-")[1]: found["normal"]})
                self.assertEqual([block["missing"] for block in report["ram"]["blocks"]], [0] * 6)
                here = sum(item.get("zero", 0) for item in report["items"])
                for count, on_main in (("normal", 0), ("duplicate", here)):
                    there = sum(found[count] for found in report["connections"])
                    self.assertEqual(report["ram"][count], there + on_main)

    def test_page_channels_in_any_order(self):
        for name in CHANNELS:
            with self.subTest(name):
                self.whole(name, name + ".conn0", captures.digest(name), self.channels(name)[::-1])

    def broken(self, name, change, *says):
        channels = self.channels(name)
        change(channels)
        status, report, _, _ = self.inspect(name + ".conn0", channels=channels)
        self.assertEqual(status, 1)
        for part in says:
            self.assertIn(part, report["error"]["text"])
        return report

    def test_a_broken_packet_is_told_with_its_connection_and_place(self):
        def wrong_magic(channels):
            channels[1] = channels[1][:64 + 1344] + b"\x55" + channels[1][64 + 1345:]
        self.broken("multifd-none-10.0", wrong_magic, "conn2", "the packet at byte 1408", "0x55223344")

        def wrong_content(channels):
            at = next(i for i in range(64, len(channels[0]), 1344)
                      if channels[0][i:i + 4] == b"\x11\x22\x33\x44" and channels[0][i + 19])
            end = at + 1344
            channels[0] = channels[0][:end] + b"\xff" * 16 + channels[0][end + 16:]
        for name in ("multifd-zlib-7.2", "multifd-zstd-10.0"):
            self.broken(name, wrong_content, "conn1", "the packet at byte ")

    def test_page_channels_that_do_not_fit_the_stream(self):
        name = "multifd-none-10.0"
        self.broken(name, lambda channels: channels.append(channels[0]), "conn", "a second page channel 0")
        self.broken(name, lambda channels: channels.append(captures.read(name + ".conn0")), "conn4",
                    "does not begin as a page channel does")
        self.broken(name, lambda channels: channels.append(channels.pop() + channels[0][64:64 + 1344]), "conn3",
                    "a SYNC more than the 3 marks")
        # It ends between two packets, so only the count of SYNCs can tell.
        self.broken(name, lambda channels: channels.append(channels.pop()[:-1344]), "conn3", "ends with 2 SYNCs",
                    "3 marks")
        report = self.broken(name, lambda channels: channels.append(channels.pop()[:-1]), "conn3", "the stream ends")
        self.assertEqual(len(report["connections"]), 3)

    def test_a_missing_page_channel_is_noticed(self):
        self.broken("multifd-none-10.0", lambda channels: channels.pop(0), "page channel 0 is missing")
        # Nobody says how many there are: of the last one only the pages are missed.
        status, report, _, _ = self.inspect("multifd-none-10.0.conn0", channels=self.channels("multifd-none-10.0")[:-1])
        self.assertEqual(status, 0)
        self.assertIn("pages never came", report["notes"][0])

    def test_golden(self):
        self.whole("synthetic-golden", "synthetic-golden.bin", GOLDEN_BLOCK)

    def test_fixed_places(self):
        with tempfile.TemporaryDirectory() as folder:
            path, ram = os.path.join(folder, "stream"), os.path.join(folder, "ram")
            with gzip.open(os.path.join(FOLDER, "mapped-ram-10.0.bin.gz")) as f, open(path, "wb") as to:
                to.write(f.read())
            done = subprocess.run([FERRY, "inspect", path, "--json", "-", "--ram", ram], capture_output=True,
                                  timeout=PATIENCE)
            self.assertEqual(done.returncode, 0, done.stdout)
            with open(ram, "rb") as f:
                self.assertEqual(hashlib.sha256(f.read()).hexdigest(), captures.digest("mapped-ram-10.0"))
            self.assertEqual(json.loads(done.stdout)["bytes"], os.stat(path).st_size)

    def test_what_is_not_understood_is_named(self):
        for file, says in (("mapped-ram-10.0.bin", "mapped-ram"), ("multifd-none-10.0.conn0", "further connections"),
                           ("multifd-none-oldflush-10.0.conn0", "further connections"),
                           ("multifd-zlib-7.2.conn0", "further connections")):
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
    captures.need()
    unittest.main(verbosity=2)
