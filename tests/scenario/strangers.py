# SPDX-License-Identifier: BSD-3-Clause
# strangers.py - who connects to a destination that waits, and is not its source, does it no harm
#
# Port scanners, silent connections, noise, hellos that are wrong or of another session: each is told why not, where it
# spoke the language, and hung up on.  The source that comes then is served as if nobody had been there.
import os
import socket
import struct
import time

from ferry import PATIENCE, Case, guest, main

VERSION, ROLE, STRAY, TOO_MANY, FOREIGN, CLOSED = 2, 3, 6, 7, 8, 11
MAIN, PAGES = 1, 2


def hello(role=MAIN, index=0, connections=1, versions=(1, 1), session=None):
    body = (session or os.urandom(16)) + os.urandom(16) + struct.pack(">BBHQQ", role, index, connections, 0, 0)
    return struct.pack(">4sHHI", b"FRHY", *versions, len(body)) + body


class Strangers(Case):
    def receive(self, *argv):
        """Nobody is shown out for being slow, on however slow a machine."""
        return super().receive("tcp:127.0.0.1:0", "--setup-timeout", "10min", *argv)

    def connect(self, address, data=b""):
        host, port = address.removeprefix("tcp:").rsplit(":", 1)
        stranger = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.addCleanup(stranger.close)
        stranger.sendall(data)
        return stranger

    def assert_refused(self, stranger, *codes):
        """It is told why, and then hung up on."""
        told = b""
        while (more := stranger.recv(65536)):
            told += more
        magic, _, got, length = struct.unpack(">4sHHI", told[:12])
        self.assertEqual((magic, len(told)), (b"FRHA", 12 + length), told)
        self.assertIn(got, codes, told)

    def assert_hung_up_on(self, stranger):
        try:
            while stranger.recv(65536):
                pass
        except ConnectionResetError:
            pass

    def move(self, address, recv, spec=None):
        send = self.send(address, spec=spec)
        self.assert_done(send)
        report = self.assert_done(recv)
        self.assert_verified(report)
        return report

    def test_whoever_comes_before_the_source_is_shown_out(self):
        recv, address = self.receive()
        for _ in range(3):
            self.connect(address).close()  # a port scanner
        silent = self.connect(address)
        half = self.connect(address, hello()[:20])
        self.assert_refused(self.connect(address, b"GET / HTTP/1.1\r\nHost: ferry\r\n\r\n"), FOREIGN)
        self.assert_refused(self.connect(address, os.urandom(100000 // 4 * 4).replace(b"Q", b"q")), FOREIGN)
        self.assert_refused(self.connect(address, hello(versions=(9, 12))), VERSION)
        self.assert_refused(self.connect(address, hello(role=7)), ROLE)
        self.assert_hung_up_on(self.connect(address, bytes.fromhex("11223344") + bytes(100)))  # a QEMU's pages
        early = self.connect(address, hello(role=PAGES, connections=2))
        report = self.move(address, recv)
        self.assertEqual(report["peer"]["dialect"], "ferry")
        self.assert_refused(silent, CLOSED)
        self.assert_refused(half, CLOSED)
        self.assert_refused(early, STRAY, TOO_MANY)

    def test_a_plain_stream_passes_strangers_too(self):
        recv, address = self.receive()
        silent = self.connect(address)
        self.assert_refused(self.connect(address, b"SSH-2.0-OpenSSH_9.2\r\n"), FOREIGN)
        send = self.send(address, "--peer", "qemu")
        self.assert_done(send)
        report = self.assert_done(recv)
        self.assert_verified(report)
        self.assertEqual(report["peer"]["dialect"], "qemu")
        self.assert_refused(silent, CLOSED)

    def test_a_crowd_that_says_nothing_keeps_no_source_away(self):
        recv, address = self.receive()
        crowd = [self.connect(address) for _ in range(50)]
        self.move(address, recv)
        for stranger in crowd:
            self.assert_hung_up_on(stranger)

    def test_the_door_is_closed_once_the_source_is_in(self):
        recv, address = self.receive()
        send = self.send(address, "--max-bandwidth", "4MiB/s", spec=guest(dirty="0"))
        recv.wait_event("figures", status="active")
        with self.assertRaises(ConnectionRefusedError):
            self.connect(address)
        send.signal()
        send.end()
        self.assertEqual(recv.end()[1]["status"], "failed")

    def test_time_is_counted_from_when_the_source_came(self):
        recv, address = self.receive()
        for _ in range(11):  # it says how it goes ten times a second
            recv.wait_event("figures", status="setup")
        began = time.monotonic()
        report = self.move(address, recv)
        self.assertLessEqual(report["total-time"], (time.monotonic() - began) * 1000)

    def test_a_wait_can_be_cancelled_among_strangers(self):
        recv, address = self.receive()
        silent = self.connect(address)
        self.assert_refused(self.connect(address, b"noise, and behind the silent one\n"), FOREIGN)
        recv.signal()
        _, report = recv.end()
        self.assertEqual(report["status"], "cancelled")
        self.assertEqual(report["error"]["code"], "cancelled")
        self.assert_refused(silent, CLOSED)


if __name__ == "__main__":
    main()
