# SPDX-License-Identifier: BSD-3-Clause
# cut_channel.py - one page channel of several is cut: both sides name it, at once, and the guest goes on at the source
#
#      send ==== main, page 0, 1, 2, 3 ====> proxy ==== main, page 0, 1, 2, 3 ====> recv
#                           '-- one of them is cut, by RST or without a word, at either end or at both
import select
import socket
import struct
import threading
import time

import pki
from ferry import FAILED, PATIENCE, Case, guest, main

CHANNELS = 4
ENOUGH = 300001  # bytes of a channel: in the middle of a record, a packet, a page
SOON = 60  # seconds, most of them for a busy machine; by itself TCP takes many minutes
BOTH, AT_THE_SOURCE, AT_THE_DESTINATION = slice(0, 2), slice(0, 1), slice(1, 2)


class Proxy:
    """Carries connections on; cuts the first of them that is no main one, when it has carried ENOUGH."""

    def __init__(self, target, reset, ends):
        self.target, self.reset, self.ends = target, reset, ends
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.lock, self.pairs = threading.Lock(), []
        self.cut, self.cut_at = threading.Event(), None
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                here, _ = self.listener.accept()
            except OSError:
                return
            there = socket.create_connection(self.target)
            with self.lock:
                number = len(self.pairs)
                self.pairs.append((here, there))
            threading.Thread(target=self.carry, args=(number, here, there), daemon=True).start()

    def carry(self, number, here, there):
        carried = 0
        open_ends = {here: there, there: here}
        while open_ends:
            for end in select.select(list(open_ends), [], [])[0]:
                try:
                    data = end.recv(16384)
                    if data:
                        open_ends[end].sendall(data)
                    else:
                        open_ends[end].shutdown(socket.SHUT_WR)
                except OSError:
                    data = b""
                if not data:
                    del open_ends[end]
                elif end is here:
                    carried += len(data)
            if number == 1 and carried >= ENOUGH and not self.cut.is_set():
                self.break_off(*(here, there)[self.ends])
                return
        here.close()
        there.close()

    def break_off(self, *ends):
        for end in ends:
            if self.reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            end.close()
        self.cut_at = time.monotonic()
        self.cut.set()

    def close(self):
        self.listener.close()
        with self.lock:
            for pair in self.pairs:
                for end in pair:
                    try:
                        end.shutdown(socket.SHUT_RDWR)
                    except OSError:
                        pass


class CutChannel(Case):
    def lose_one(self, *creds):
        for ends in BOTH, AT_THE_SOURCE, AT_THE_DESTINATION:
            for reset in False, True:
                with self.subTest(ends=ends, reset=reset):
                    self.lose(reset, ends, *creds)

    def lose(self, reset, ends, *creds):
        recv, address = self.receive("tcp:127.0.0.1:0", *creds)
        proxy = Proxy(("127.0.0.1", int(address.rsplit(":", 1)[1])), reset, ends)
        self.addCleanup(proxy.close)
        send = self.send(f"tcp:127.0.0.1:{proxy.port}", *creds, "--channels", str(CHANNELS),
                         spec=guest(dirty="unlimited"))
        self.assertTrue(proxy.cut.wait(PATIENCE), "no page channel carried enough")
        told = []
        for side in send, recv:
            status, report = side.end()
            self.assertLess(time.monotonic() - proxy.cut_at, SOON)
            self.assertEqual((status, report["status"]), (FAILED, "failed"), side.words())
            told.append(report["error"]["text"])
        self.assertEqual(told[0], told[1])
        self.assertRegex(told[0], r"^page channel [0-3]: ")
        self.assert_guest_went_on(send, send.seen[-1])
        self.assertFalse(recv.seen[-1]["guest"]["runs-here"])

    def test_one_that_is_plain(self):
        self.lose_one()

    def test_one_with_tls(self):
        self.lose_one("--tls-creds", pki.psk(self.path("keys.psk")))


if __name__ == "__main__":
    main()
