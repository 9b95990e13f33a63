#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# qemu_tls_test.py - a QEMU migrates into our TLS to the last byte, and one that waits for a migration lets us in
#
# QEMU=PATH takes another than the one that is installed.
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import unittest

import qemu
import tls_strangers as strangers

MEGABYTES = 64
qemu.BINARY = os.environ.get("QEMU", qemu.BINARY)


class QemuTls(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.certs = strangers.Certificates()
        cls.blob = os.path.join(cls.certs.root, "blob")
        with open(cls.blob, "wb") as f:
            f.write(random.Random(1).randbytes(8 << 20))
        cls.folder = os.path.join(cls.certs.root, "qemu")
        os.makedirs(cls.folder)
        for name in ("ca-cert", "server-cert", "server-key", "client-cert", "client-key"):
            shutil.copy(f"{cls.certs.good}/{name}.pem", cls.folder)
        shutil.copy(cls.certs.psk, cls.folder)

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.certs.root)

    def ours(self, kind):
        return ["--x509", self.folder] if kind == "x509" else ["--psk", self.certs.psk]

    def source(self, kind, agreed, *options):
        peer = strangers.Program(strangers.PEER, "serve", "tcp:127.0.0.1:0", "--sink", "--forgive", *self.ours(kind),
                                 *options)
        self.addCleanup(peer.end)
        address = peer.until("listens").split(" ", 1)[1]
        source = qemu.Qemu(MEGABYTES, self.blob)
        self.addCleanup(source.close)
        source.command("object-add", **{"qom-type": "tls-creds-" + kind, "id": "t", "dir": self.folder,
                                        "endpoint": "client"})
        source.command("migrate-set-parameters", **{"tls-creds": "t"})
        self.assertEqual(source.migrate(address)["status"], "completed")
        self.assertIn(agreed, peer.until("agreed", "refused"))
        self.assertGreater(int(peer.until("swallowed", "broken").split()[1]), 8 << 20)
        self.assertIn("ended well", peer.until("ended", "broken"))

    def test_a_source_with_certificates(self):
        self.source("x509", "agreed 1.3 aes-256-gcm certificate 'CN=client'", "--ciphers", "aes-256-gcm")

    def test_a_source_with_a_key(self):
        self.source("psk", "agreed 1.3 aes-128-gcm psk 'qemu'")

    def destination(self, kind, agreed):
        port = strangers.free_port()
        there, here = socket.socketpair()
        self.addCleanup(here.close)
        process = subprocess.Popen(
            [qemu.BINARY, "-accel", "tcg", "-machine", "pc", "-m", str(MEGABYTES), "-nodefaults", "-display", "none",
             "-object", f"tls-creds-{kind},id=t,dir={self.folder},endpoint=server", "-incoming", "defer",
             "-chardev", f"socket,id=q,fd={there.fileno()}", "-mon", "chardev=q,mode=control"],
            stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, pass_fds=[there.fileno()])
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        there.close()
        here.settimeout(qemu.PATIENCE)
        with here.makefile("r") as answers:
            answers.readline()
            for name, arguments in (("qmp_capabilities", {}), ("migrate-set-parameters", {"tls-creds": "t"}),
                                    ("migrate-incoming", {"uri": f"tcp:127.0.0.1:{port}"})):
                here.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
                answer = json.loads(answers.readline())
                while "event" in answer:
                    answer = json.loads(answers.readline())
                self.assertIn("return", answer)
            done = subprocess.run([strangers.PEER, "connect", f"tcp:127.0.0.1:{port}", *self.ours(kind)],
                                  stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=qemu.PATIENCE)
        # What we then say is no migration stream, and QEMU hangs up on it.
        self.assertIn(agreed, done.stdout.splitlines()[0])

    def test_a_destination_with_certificates(self):
        self.destination("x509", "agreed 1.3 aes-128-gcm certificate 'CN=server'")

    def test_a_destination_with_a_key(self):
        self.destination("psk", "agreed 1.3 aes-128-gcm psk 'qemu'")


if __name__ == "__main__":
    if not qemu.runs("--version"):
        print(f"SKIP: needs qemu: {qemu.BINARY} does not run here")
        sys.exit(77)
    unittest.main()
