# SPDX-License-Identifier: BSD-3-Clause
# qemu_source_test.py - a source of ours sends memory that changes to a QEMU, in the manner of that QEMU's machine
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

import qemu

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import probe  # noqa: E402

SOURCE = os.environ["MEMORY_SOURCE"]
MEGABYTES = 24
LOW = 1 << 20  # the firmware's, and shadowed by it


class Source(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ferry-")
        self.addCleanup(shutil.rmtree, self.folder)
        with open(self.path("blob"), "wb") as f:
            f.write(bytes(4096))

    def path(self, name):
        return os.path.join(self.folder, name)

    def migrate(self, machine, *options, channels=0, codec="none"):
        """Into a machine of that kind; returns what each connection carried."""
        there = qemu.Qemu(MEGABYTES, self.path("blob"), "-machine", machine, "-incoming", "defer", "-S")
        self.addCleanup(there.close)
        if channels:
            there.capability("multifd")
            there.command("migrate-set-parameters", **{"multifd-channels": channels, "multifd-compression": codec})
        uri = "unix:" + self.path("socket")
        there.command("migrate-incoming", uri=uri)
        source = subprocess.run([SOURCE, uri, machine, "pc.ram", str(MEGABYTES), self.path("ram"), "peer=qemu",
                                 f"channels={channels}", *options], capture_output=True, text=True,
                                timeout=qemu.PATIENCE)
        self.assertEqual((source.stderr, source.returncode), ("", 0))
        self.assertEqual(there.migration_end()["status"], "completed")
        with open(self.path("ram"), "rb") as f:
            sent = f.read()
        self.assertTrue(there.memory()[LOW:] == sent[LOW:], "its memory is not the source's")
        return [line.split(" ", 2) for line in source.stdout.splitlines()]

    def wait_status(self, there, wanted):
        deadline = time.monotonic() + qemu.PATIENCE
        while (status := there.command("query-migrate").get("status")) != wanted:
            self.assertLess(time.monotonic(), deadline, status)
            time.sleep(0.01)

    def interrupted(self, *capabilities, options=()):
        """Postcopy into a QEMU that is told to break it, and to recover."""
        there = qemu.Qemu(MEGABYTES, self.path("blob"), "-machine", "pc-i440fx-7.2", "-incoming", "defer", "-S")
        self.addCleanup(there.close)
        for name in ("postcopy-ram", *capabilities):
            there.capability(name)
        uri = "unix:" + self.path("socket")
        there.command("migrate-incoming", uri=uri)
        source = subprocess.Popen([SOURCE, uri, "pc-i440fx-7.2", "pc.ram", str(MEGABYTES), self.path("ram"),
                                   "peer=qemu", "channels=0", "postcopy=now", "max-postcopy-bandwidth=256KiB/s",
                                   "postcopy-retry=600s", *options], stderr=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)
        self.addCleanup(source.kill)
        self.wait_status(there, "postcopy-active")
        there.command("migrate-pause")
        self.wait_status(there, "postcopy-paused")
        there.command("migrate-recover", uri=uri)
        _, words = source.communicate(timeout=qemu.PATIENCE)
        self.assertEqual((words, source.returncode), ("", 0))
        self.assertEqual(there.migration_end()["status"], "completed")
        with open(self.path("ram"), "rb") as f:
            sent = f.read()
        self.assertTrue(there.memory()[LOW:] == sent[LOW:], "its memory is not the source's")

    def test_a_postcopy_that_is_interrupted(self):
        self.interrupted()

    def test_a_postcopy_that_is_interrupted_with_an_urgent_connection(self):
        self.interrupted("postcopy-preempt", options=["postcopy-preempt=early"])

    def test_differences_on_the_main_connection(self):
        (role, _, codecs), = self.migrate("pc-i440fx-7.2", "compress=xbzrle", "hot-pages=as-found")
        self.assertEqual(role, "main")
        self.assertRegex(codecs, "xbzrle")

    def old(self, machine, *options, codec="none"):
        carried = self.migrate(machine, *options, f"compress={codec}", channels=2, codec=codec)
        self.assertEqual([role for role, _, _ in carried], ["main", "pages", "pages"])
        # A record of nine bytes for each page of zeros.
        self.assertGreater(int(carried[0][1]), 9 * (MEGABYTES << 20) // 4096 // 2)

    def test_page_channels_of_7_2(self):
        self.old("pc-i440fx-7.2")

    def test_page_channels_of_7_2_zlib(self):
        self.old("pc-i440fx-7.2", codec="zlib")

    def test_page_channels_of_7_2_when_told_so(self):
        self.old("pc-q35-7.1", "peer-version=7.2", codec="zstd")

    def newer(self):
        if not probe.present("qemu-mapped-ram"):
            print(f"SKIP: needs qemu-mapped-ram: {qemu.BINARY} has no machine newer than 7.2", flush=True)
            return False
        return True

    def test_page_channels_of_8_2(self):
        if self.newer():
            self.old("pc-i440fx-8.2", codec="zstd")

    def test_page_channels_of_9_0(self):
        if self.newer():
            carried = self.migrate("pc-i440fx-9.0", channels=2)
            self.assertLess(int(carried[0][1]), 9 * (MEGABYTES << 20) // 4096 // 2)


if __name__ == "__main__":
    if not qemu.runs("--version"):
        print(f"SKIP: needs qemu: {qemu.BINARY} does not run here")
        sys.exit(77)
    unittest.main(verbosity=2)
