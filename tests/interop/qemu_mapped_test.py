# SPDX-License-Identifier: BSD-3-Clause
# qemu_mapped_test.py - QEMU and Ferry read each other's mapped-ram files
#
# Needs a QEMU of 9.0 or later; $FERRY_QEMU names one that is not the system's.
import os
import random
import shutil
import subprocess
import sys
import tempfile
import unittest

import qemu

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import probe  # noqa: E402

FERRY, REWRITE = os.environ["FERRY"], os.environ["MAPPED_REWRITE"]
MEGABYTES = 64
SHADOWED = slice(0xA0000, 0x100000)  # a processor, and pmemsave, sees devices and ROM here, depending on the chipset


class Mapped(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ferry-")
        self.addCleanup(shutil.rmtree, self.folder)
        with open(self.path("blob"), "wb") as f:
            f.write(random.Random(1).randbytes(8 << 20))

    def path(self, name):
        return os.path.join(self.folder, name)

    def machine(self, *more, capabilities=()):
        machine = qemu.Qemu(MEGABYTES, self.path("blob"), *more)
        self.addCleanup(machine.close)
        for name in ("mapped-ram", *capabilities):
            machine.capability(name)
        return machine

    def save(self, **more):
        """The memory of a stopped machine that was saved to "file"."""
        machine = self.machine(**more)
        machine.command("stop")
        about = machine.migrate("file:" + self.path("file"))
        self.assertEqual(about["status"], "completed", about)
        return self.comparable(machine.memory())

    def comparable(self, memory):
        memory = bytearray(memory)
        memory[SHADOWED] = bytes(SHADOWED.stop - SHADOWED.start)
        return memory

    def assert_loaded_by_ferry(self, memory):
        done = subprocess.run([FERRY, "inspect", self.path("file"), "--ram", self.path("ram")], capture_output=True,
                              timeout=qemu.PATIENCE)
        self.assertEqual(done.returncode, 0, done.stdout[-400:])
        with open(self.path("ram"), "rb") as f:
            self.assertTrue(self.comparable(f.read()) == memory)

    def assert_loaded_by_qemu(self, memory, **more):
        there = self.machine("-incoming", "defer", "-S", **more)
        there.command("migrate-incoming", uri="file:" + self.path("file"))
        about = there.migration_end()
        self.assertEqual(about["status"], "completed", about)
        self.assertTrue(self.comparable(there.memory()) == memory)

    def rewrite(self, threads):
        subprocess.run([REWRITE, self.path("file"), self.path("new"), str(threads)], check=True, timeout=qemu.PATIENCE)
        os.rename(self.path("new"), self.path("file"))

    def test_ferry_loads_what_qemu_saved(self):
        self.assert_loaded_by_ferry(self.save())

    def test_ferry_loads_what_qemu_saved_by_threads(self):
        self.assert_loaded_by_ferry(self.save(capabilities=["multifd"]))

    def test_qemu_loads_what_ferry_saved(self):
        memory = self.save()
        self.rewrite(3)
        self.assert_loaded_by_ferry(memory)
        self.assert_loaded_by_qemu(memory)

    def test_qemu_loads_by_threads_what_ferry_saved(self):
        memory = self.save()
        self.rewrite(1)
        self.assert_loaded_by_qemu(memory, capabilities=["multifd"])


if __name__ == "__main__":
    if not probe.present("qemu-mapped-ram"):
        print(f"SKIP: needs qemu-mapped-ram: {qemu.BINARY} does not run here, or is older than 9.0")
        sys.exit(77)
    unittest.main(verbosity=2)
