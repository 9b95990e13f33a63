# SPDX-License-Identifier: BSD-3-Clause
# captures_played_test.py - a destination of ours is fed what a real QEMU sent, by a peer that plays the source's side on
# real sockets: its guest runs, asks for pages that have not come, and its memory is right in the end
import hashlib
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import unittest

import captures

DESTINATION = os.environ["CAPTURE_DESTINATION"]
PIECE = 64 << 10
SHUT, PONG, REQUEST_ID, REQUEST, BITMAP, RESUME_ACK = range(1, 7)
RESUME = b"\x08\0\x09\0\0"  # the command
BITMAP_END = 0x0123456789abcdef


def behind_of(report):
    """Where the package ends."""
    package = report["postcopy"]["package"]
    return package["offset"] + package["size"]


class Back(threading.Thread):
    """What the destination sends back on the main connection."""

    def __init__(self, connection):
        super().__init__(daemon=True)
        self.connection = connection
        self.changed = threading.Condition()
        self.messages = []
        self.ended = False
        self.beside = None  # the urgent connection that goes with it
        self.start()

    def take(self, count):
        data = b""
        while len(data) < count:
            more = self.connection.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def run(self):
        try:
            while True:
                kind, size = struct.unpack(">HH", self.take(4))
                payload = self.take(size)
                if kind == BITMAP:
                    size, = struct.unpack(">Q", self.take(8))
                    payload += self.take(size)
                    assert struct.unpack(">Q", self.take(8)) == (BITMAP_END,)
                with self.changed:
                    self.messages.append((kind, payload))
                    self.changed.notify_all()
        except (EOFError, OSError):
            with self.changed:
                self.ended = True
                self.changed.notify_all()

    def wait(self, kinds, payload=None):
        """The first message of these kinds, and with that payload."""
        def found():
            return next((message for message in self.messages if message[0] in kinds
                         and payload in (None, message[1])), None)
        with self.changed:
            self.changed.wait_for(lambda: found() or self.ended, captures.PATIENCE)
            message = found()
        if not message:
            raise AssertionError(f"no message of {kinds} came back, but {self.messages}")
        return message


class Played(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def destination(self, report, *options):
        """One for the machine of that stream; it listens on the path that is returned."""
        path = os.path.join(self.folder, "socket")
        process = subprocess.Popen(
            [DESTINATION, "unix:" + path, report["configuration"]["machine"], os.path.join(self.folder, "ram"), *options],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        with process.stdin:
            for device in report["devices"]:
                process.stdin.write("{name} {instance} {version} {size}\n".format(**device))
        process.stdin = None  # closed; nobody flushes it again
        self.assertEqual(process.stdout.readline(), "listening\n", process.poll())
        return process, path

    def connect(self, path):
        connection = socket.socket(socket.AF_UNIX)
        self.addCleanup(connection.close)
        connection.connect(path)
        return connection

    def play(self, name, *options, urgent=None, early=False):
        stream = captures.read(name + ".conn0")
        _, report, _, _ = captures.inspect(stream, channels=[urgent] if urgent else [])
        process, path = self.destination(report, "peer=qemu", "postcopy=on", *options)
        back = self.switch(stream, report, path, urgent, early)
        self.follow(name, process, back, stream, behind_of(report))

    def switch(self, stream, report, path, urgent=None, early=False):
        """Until the guest runs and asks: so it has pages to wait for."""
        main = self.connect(path)
        beside = self.connect(path) if early else None
        back = Back(main)
        # A source connects its urgent channel once the destination has answered the first ping.
        switch = report["postcopy"]["package"]["offset"] - 9
        main.sendall(stream[:switch])
        if urgent is not None and not beside:
            back.wait([PONG], struct.pack(">I", 1))
            beside = self.connect(path)
        main.sendall(stream[switch:behind_of(report)])
        _, request = back.wait([REQUEST_ID])
        self.assertEqual(struct.unpack_from(">QI", request)[1], 4096)
        if beside:
            beside.sendall(urgent)
            back.beside = beside
        return back

    def send_all(self, connection, data):
        for at in range(0, len(data), PIECE):
            connection.sendall(data[at:at + PIECE])

    def follow(self, name, process, back, stream, behind):
        self.send_all(back.connection, stream[behind:])
        self.assertEqual(back.wait([SHUT]), (SHUT, bytes(4)))
        if back.beside:
            back.beside.close()
        back.connection.close()
        pongs = [payload[3] for kind, payload in back.messages if kind == PONG]
        self.assertEqual(pongs, [1, 2, 3, 4])
        self.end(name, process, back)

    def end(self, name, process, back):
        out, err = process.communicate(timeout=captures.PATIENCE)
        self.assertEqual((process.returncode, err), (0, ""))
        self.assertEqual(out, "31 of 31 devices, 6 blocks\n")
        with open(os.path.join(self.folder, "ram"), "rb") as f:
            self.assertEqual(hashlib.sha256(f.read()).hexdigest(), captures.digest(name))
        requests = [payload[:12] for kind, payload in back.messages if kind in (REQUEST_ID, REQUEST)]
        self.assertGreater(len(requests), 0)

    def test_an_interruption(self):
        """The source's second connection, after the first one broke in the middle of its memory."""
        name = "postcopy-recover-10.0"
        first, second = (captures.read(f"{name}.conn{i}") for i in range(2))
        _, report, _, _ = captures.inspect(first, channels=[second])
        process, path = self.destination(report, "peer=qemu", "postcopy=on", "postcopy-retry=60s")
        back = self.switch(first, report, path)
        self.send_all(back.connection, first[behind_of(report):])
        back.connection.shutdown(socket.SHUT_RDWR)
        # Somebody else comes first, and is sent away.
        stranger = self.connect(path)
        stranger.sendall(b"GET / HTTP/1.0\r\n\r\n")
        try:
            self.assertEqual(stranger.recv(1), b"")
        except ConnectionResetError:
            pass
        again = Back(self.connect(path))
        resume = second.index(RESUME) + len(RESUME)
        again.connection.sendall(second[:resume])
        self.assertEqual(again.wait([RESUME_ACK]), (RESUME_ACK, struct.pack(">I", 1)))
        kinds = [kind for kind, _ in again.messages]
        self.assertEqual(kinds[:7], [BITMAP] * 6 + [RESUME_ACK])
        ram = next(payload for kind, payload in again.messages if kind == BITMAP and payload[1:7] == b"pc.ram")[7:]
        self.assertEqual(len(ram), (16 << 20) // 4096 // 8)
        self.assertTrue(0 < sum(byte.bit_count() for byte in ram) < len(ram) * 8)
        # Who waits asks again, by the block's name.
        self.assertEqual(again.wait([REQUEST_ID, REQUEST])[0], REQUEST_ID)
        self.send_all(again.connection, second[resume:])
        self.assertEqual(again.wait([SHUT]), (SHUT, bytes(4)))
        again.connection.close()
        self.end(name, process, again)

    def test_7_2(self):
        self.play("postcopy-7.2")

    def test_10_0(self):
        self.play("postcopy-10.0")

    def test_an_urgent_connection(self):
        self.play("postcopy-preempt-10.0", "postcopy-preempt=on", urgent=captures.read("postcopy-preempt-10.0.conn1"))

    def test_an_urgent_connection_at_the_start(self):
        """As QEMU up to 7.2 connects it, and ends it."""
        urgent = captures.read("postcopy-preempt-10.0.conn1") + struct.pack(">Q", 0x10)
        self.play("postcopy-preempt-10.0", "postcopy-preempt=early", urgent=urgent, early=True)


if __name__ == "__main__":
    captures.need()
    able = subprocess.run([DESTINATION], timeout=captures.PATIENCE)
    if able.returncode:
        sys.exit(able.returncode)
    unittest.main(verbosity=2)
