# SPDX-License-Identifier: BSD-3-Clause
# qemu_inspect_test.py - a QEMU migrates into `ferry inspect`: it sees its migration completed, and its memory is there
import json
import os
import random
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import unittest

import qemu

FERRY = os.environ["FERRY"]
MEGABYTES = 64
SHADOWED = slice(0xA0000, 0x100000)  # a processor, and pmemsave, sees devices and ROM here, depending on the chipset
CLOCK_BYTES = 32  # a KVM guest's clock page, which the kernel may write once more when it is looked at


class Inspect(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ferry-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.blob = random.Random(1).randbytes(8 << 20)
        with open(self.path("blob"), "wb") as f:
            f.write(self.blob)
        self.source = qemu.Qemu(MEGABYTES, self.path("blob"))
        self.addCleanup(self.source.close)

    def path(self, name):
        return os.path.join(self.folder, name)

    def outputs(self):
        return ["--json", self.path("json"), "--ram", self.path("ram")]

    def listen(self, uri, *options):
        """An inspector and the address it listens on."""
        process = subprocess.Popen([FERRY, "inspect", uri, *options, *self.outputs()], stdin=subprocess.DEVNULL,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process, process.stderr.readline().removeprefix("listening on ").strip()

    def check(self, about, commands, notes=()):
        self.assertEqual(about["status"], "completed", about)
        with open(self.path("json")) as f:
            report = json.load(f)
        self.assertEqual((report["status"], report["notes"]), ("completed", list(notes)))
        self.assertEqual([item["command"] for item in report["items"] if item["type"] == "command"
                          and item["command"] != "switchover-start"], commands)
        for device in report["devices"]:
            self.assertEqual(device["sized-by"], "description", device["name"])
        self.check_memory()

    def check_memory(self):
        with open(self.path("ram"), "rb") as f:
            arrived = bytearray(f.read())
        memory = bytearray(self.source.memory())
        arrived[SHADOWED] = memory[SHADOWED] = bytes(SHADOWED.stop - SHADOWED.start)
        self.assertEqual(len(arrived), len(memory))
        self.assertEqual(arrived[1 << 20:][:len(self.blob)], self.blob)
        differ = [i for i in range(len(memory)) if arrived[i] != memory[i]] if arrived != memory else []
        if differ:
            self.assertLessEqual(differ[-1] - differ[0], CLOCK_BYTES, f"{len(differ)} bytes from {differ[0]:#x} on")

    def arrived(self, process):
        process.communicate(timeout=qemu.PATIENCE)
        self.assertEqual(process.returncode, 0)

    def test_tcp(self):
        process, address = self.listen("tcp:127.0.0.1:0")
        about = self.source.migrate(address)
        self.arrived(process)
        self.check(about, [])

    def test_unix_with_return_path(self):
        self.source.capability("return-path")
        process, address = self.listen(f"unix:{self.path('socket')}")
        about = self.source.migrate(address)
        self.arrived(process)
        self.check(about, ["open-return-path", "ping"])

    def test_exec(self):
        done = self.path("done")
        words = " ".join(map(shlex.quote, [FERRY, "inspect", "-", *self.outputs()]))
        about = self.source.migrate(f"exec:{words} >/dev/null; touch {shlex.quote(done)}")
        # QEMU does not wait for its child.
        self.wait_for(done)
        self.check(about, [])

    def channels(self, count, codec):
        self.source.capability("multifd")
        self.source.command("migrate-set-parameters", **{"multifd-channels": count, "multifd-compression": codec})

    def check_channels(self, count, codec):
        with open(self.path("json")) as f:
            report = json.load(f)
        self.assertEqual(sorted(connection["channel"] for connection in report["connections"]), list(range(count)))
        codecs = set()
        for connection in report["connections"]:
            self.assertGreaterEqual(connection["syncs"], 3)
            codecs.update(connection["codecs"])
        self.assertEqual(codecs, {codec})
        self.assertGreaterEqual(sum(connection["normal"] for connection in report["connections"]), len(self.blob) >> 12)

    def page_channels(self, count, codec):
        self.channels(count, codec)
        process, address = self.listen("tcp:127.0.0.1:0")
        about = self.source.migrate(address)
        self.arrived(process)
        self.check(about, [])
        self.check_channels(count, codec)

    def test_page_channels(self):
        self.page_channels(4, "none")

    def test_page_channels_zlib(self):
        self.page_channels(4, "zlib")

    def test_page_channels_zstd(self):
        self.page_channels(4, "zstd")

    def test_many_page_channels(self):
        self.page_channels(100, "none")

    def test_page_channels_with_return_path(self):
        self.source.capability("return-path")
        self.channels(4, "zstd")
        process, address = self.listen(f"unix:{self.path('socket')}")
        about = self.source.migrate(address)
        self.arrived(process)
        self.check(about, ["open-return-path", "ping"])
        self.check_channels(4, "zstd")

    def encrypt(self, kind):
        """The source asks for TLS; returns what an inspector needs for it."""
        folder = self.path("pki")
        words = ["x509", folder, "--host", "127.0.0.1"] if kind == "x509" else ["psk", folder + "/keys.psk"]
        os.makedirs(folder, mode=0o700)
        subprocess.run([FERRY, "keys", *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True)
        self.source.command("object-add", **{"qom-type": "tls-creds-" + kind, "id": "t", "dir": folder,
                                             "endpoint": "client"})
        self.source.command("migrate-set-parameters", **{"tls-creds": "t"})
        return "--tls-creds", folder

    def encrypted(self, kind, codec):
        options = self.encrypt(kind)
        self.channels(4, codec)
        process, address = self.listen("tcp:127.0.0.1:0", *options)
        with socket.create_connection(address.removeprefix("tcp:").rsplit(":", 1), qemu.PATIENCE) as stranger:
            stranger.sendall(b"no TLS at all\n")
            while stranger.recv(65536):
                pass
        about = self.source.migrate(address)
        self.arrived(process)
        with open(self.path("json")) as f:
            report = json.load(f)
        self.assertEqual(len(report["notes"]), 1)
        self.assertIn("not taken: ", report["notes"][0])
        self.assertIn("TLS: it is required here", report["notes"][0])
        for connection in report["connections"]:
            self.assertIn("tls(", connection["source"])
        self.check(about, [], notes=report["notes"])
        self.check_channels(4, codec)

    def test_certificates(self):
        self.encrypted("x509", "none")

    def test_certificates_zlib(self):
        self.encrypted("x509", "zlib")

    def test_certificates_zstd(self):
        self.encrypted("x509", "zstd")

    def test_a_key(self):
        self.encrypted("psk", "none")

    def test_a_key_zlib(self):
        self.encrypted("psk", "zlib")

    def test_a_key_zstd(self):
        self.encrypted("psk", "zstd")

    def test_a_key_without_page_channels(self):
        self.source.capability("return-path")
        process, address = self.listen("tcp:127.0.0.1:0", *self.encrypt("psk"))
        about = self.source.migrate(address)
        self.arrived(process)
        self.check(about, ["open-return-path", "ping"])

    def postcopy(self, *capabilities):
        """The guest's memory follows it into an inspector that asks for nothing; returns what that saw."""
        for name in ("postcopy-ram", *capabilities):
            self.source.capability(name)
        # So that it is still underway when it is told to switch.
        self.source.command("migrate-set-parameters", **{"max-bandwidth": 4 << 20})
        process, address = self.listen("tcp:127.0.0.1:0")
        self.source.command("migrate", uri=address)
        self.source.command("migrate-start-postcopy")
        about = self.source.migration_end()
        self.arrived(process)
        self.assertEqual(about["status"], "completed", about)
        with open(self.path("json")) as f:
            report = json.load(f)
        self.assertEqual((report["status"], report["notes"]), ("completed", []))
        commands = [item["command"] for item in report["items"] if item["type"] == "command"
                    and item["command"] not in ("switchover-start", "postcopy-ram-discard")]
        self.assertEqual(commands, ["open-return-path", "ping", "postcopy-advise", "ping", "packaged",
                                    "postcopy-listen", "ping", "postcopy-run", "ping"])
        self.check_memory()
        return report["postcopy"]

    def follows(self, found):
        self.assertTrue(found["ended"])
        self.assertGreater(found["discarded"], len(self.blob) >> 12)
        self.assertEqual(found["pages"], found["discarded"])
        self.assertEqual([found[name] for name in ("twice", "unannounced", "again", "awaited", "breaks")], [0] * 5)

    def test_postcopy(self):
        found = self.postcopy()
        self.follows(found)
        self.assertEqual([wire["kind"] for wire in found["connections"]], ["main"])

    def test_postcopy_with_an_urgent_connection(self):
        found = self.postcopy("postcopy-preempt")
        self.follows(found)
        self.assertEqual([wire["kind"] for wire in found["connections"]], ["main", "urgent"])

    def wait_for(self, path):
        subprocess.run(["sh", "-c", 'until [ -e "$0" ]; do sleep 0.02; done', path], timeout=qemu.PATIENCE, check=True)


if __name__ == "__main__":
    if not qemu.runs("--version"):
        print(f"SKIP: needs qemu: {qemu.BINARY} does not run here")
        sys.exit(77)
    unittest.main(verbosity=2)
