# SPDX-License-Identifier: BSD-3-Clause
# tls_door.py - a door with TLS and who knocks at it without, and the other way round: each hears why, nobody is let in
#
# A destination that has refused strangers takes its source as if nobody had been there.
import os
import select
import shutil
import socket
import subprocess
import time

import pki
from ferry import FAILED, PATIENCE, Case, main

WANTED = "TLS came, and this end has no credentials"
ALERT = bytes.fromhex("15030300 02 02 0a")  # fatal: an unexpected message


class Door(Case):
    def setUp(self):
        super().setUp()
        self.psk, self.x509 = pki.psk(self.path("keys.psk")), pki.x509(self.path("pki"))

    def creds(self, path=None):
        return "--tls-creds", path or self.psk

    def open(self, *creds):
        """A destination whose log is heard as it comes."""
        read, write = os.pipe()
        self.addCleanup(os.close, read)
        self.log, self.heard = read, b""
        recv, address = self.receive("tcp:127.0.0.1:0", *creds, "--log", "info", stderr=write)
        os.close(write)
        self.address, self.port = address, int(address.rsplit(":", 1)[1])
        return recv

    def assert_logged(self, text):
        """It says this next, whatever it says in between; what was heard before is gone."""
        deadline = time.monotonic() + PATIENCE
        while (end := self.heard.find(text.encode())) < 0:
            if not select.select([self.log], [], [], max(0, deadline - time.monotonic()))[0]:
                self.fail(f"not a word of '{text}', but: {self.heard.decode()}")
            more = os.read(self.log, 65536)
            if not more:
                self.fail(f"it ended without a word of '{text}': {self.heard.decode()}")
            self.heard += more
        self.heard = self.heard[end + len(text):]

    def stranger(self, data):
        """What one who says this is told."""
        told = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE) as stranger:
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
            try:
                while (more := stranger.recv(65536)):
                    told += more
            except ConnectionResetError:
                pass
        return told

    def openssl(self, *argv):
        if not shutil.which("openssl"):
            self.skipTest("needs openssl")
        return subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *argv],
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)

    def refused(self, send, *texts, code="tls-expected"):
        status, report = send.end()
        self.assertEqual(status, FAILED, send.words())
        self.assert_guest_went_on(send, report)
        for text in texts:
            self.assertIn(text, report["error"]["text"])
        self.assertEqual(report["error"]["code"], code)

    def taken(self, recv, *creds):
        send = self.send(self.address, *creds)
        self.assert_done(send)
        self.assert_verified(self.assert_done(recv))

    def test_strangers_at_a_door_with_a_key(self):
        recv = self.open(*self.creds())
        self.openssl("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assert_logged("nothing newer than TLS 1.1")
        self.openssl()
        self.assert_logged("no kind of credentials that is accepted here")
        self.openssl("-psk", "00" * 32, "-psk_identity", "nobody")
        self.assert_logged("TLS: ")
        self.assertEqual(self.stranger(b"\xff" * 3000), ALERT)
        self.assert_logged("TLS: it is required here, and the other end sent something unknown")
        self.assertEqual(self.stranger(b"GET / HTTP/1.1\r\n\r\n"), ALERT)
        self.assert_logged("the other end sent an HTTP request")
        self.taken(recv, *self.creds())

    def test_strangers_at_a_door_with_certificates(self):
        recv = self.open(*self.creds(self.x509))
        self.openssl("-tls1_1", "-cipher", "ALL:@SECLEVEL=0")
        self.assert_logged("nothing newer than TLS 1.1")
        self.openssl()
        self.assert_logged("no certificate")
        self.refused(self.send(self.address, *self.creds()), "TLS: ", code="tls-untrusted")
        self.assert_logged("TLS: ")
        self.taken(recv, *self.creds(self.x509), "--tls-hostname", "localhost")

    def test_plain_sources_at_a_door_with_tls(self):
        recv = self.open(*self.creds())
        self.refused(self.send(self.address), self.address, WANTED)
        self.assert_logged("the other end sent a ferry connection without TLS")
        self.refused(self.send(self.address, "--peer", "qemu", "--channels", "0"), self.address, WANTED)
        self.assert_logged("the other end sent a migration stream without TLS")
        self.taken(recv, *self.creds())

    def test_a_source_with_tls_at_a_plain_door(self):
        recv = self.open()
        for creds in self.creds(), self.creds(self.x509):
            self.refused(self.send(self.address, *creds, "--tls-hostname", "localhost"), self.address,
                         "it was asked for, and the other end answered with a ferry answer without TLS")
            self.assert_logged(WANTED)
        self.openssl()
        self.assert_logged(WANTED)
        self.taken(recv)


if __name__ == "__main__":
    main()
