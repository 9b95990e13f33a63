# SPDX-License-Identifier: BSD-3-Clause
# tls_carry.py - TLS over every kind of channel that carries bytes both ways, and over none of the others
import os
import shutil
import socket

import pki
from ferry import FAILED, Case, closing, main


class TlsCarry(Case):
    def setUp(self):
        super().setUp()
        self.psk, self.x509 = pki.psk(self.path("keys.psk")), pki.x509(self.path("pki"))

    def creds(self, path=None):
        return "--tls-creds", path or self.psk

    def arrived(self, recv, send):
        sent, received = self.assert_done(send), self.assert_done(recv)
        self.assert_verified(received)
        tls = [channel["tls"] for channel in sent["channels"]]
        self.assertEqual({one["version"] for one in tls}, {"1.3"})
        return tls

    def test_fd_socketpair(self):
        ends = [end.detach() for end in socket.socketpair()]
        with closing(*ends):
            recv, _ = self.receive(f"fd:{ends[0]}", *self.creds(), pass_fds=ends[:1])
            send = self.send(f"fd:{ends[1]}", *self.creds(), pass_fds=ends[1:])
        self.arrived(recv, send)

    def test_exec(self):
        if not shutil.which("socat"):
            self.skipTest("needs socat")
        path = self.path("socket")
        recv, _ = self.receive("unix:" + path, *self.creds())
        self.arrived(recv, self.send(f"exec:socat STDIO UNIX-CONNECT:{path}", *self.creds()))

    def test_exec_by_certificates(self):
        if not shutil.which("socat"):
            self.skipTest("needs socat")
        path = self.path("socket")
        recv, _ = self.receive("unix:" + path, *self.creds(self.x509))
        send = self.send(f"exec:socat STDIO UNIX-CONNECT:{path}", *self.creds(self.x509), "--tls-hostname", "localhost")
        self.arrived(recv, send)

    def test_sixteen_channels_cost_one_full_handshake(self):
        recv, address = self.receive("tcp:127.0.0.1:0", *self.creds(self.x509))
        tls = self.arrived(recv, self.send(address, *self.creds(self.x509), "--tls-hostname", "localhost",
                                           "--channels", "16"))
        self.assertEqual([one["handshake"] for one in tls], ["full"] + ["resumed"] * 16)

    def test_a_pipe_has_no_way_back(self):
        with closing(*os.pipe()) as ends:
            send = self.send(f"fd:{ends[1]}", *self.creds(), pass_fds=ends[1:])
            status, report = send.end()
        self.assertEqual(status, FAILED)
        self.assert_guest_went_on(send, report)

    def test_a_name_that_is_not_in_the_certificate(self):
        recv, address = self.receive("tcp:127.0.0.1:0", *self.creds(self.x509))
        send = self.send(address, *self.creds(self.x509))
        status, report = send.end()
        self.assertEqual(status, FAILED)
        self.assertIn("127.0.0.1", report["error"]["text"])
        good = self.send(address, *self.creds(self.x509), "--tls-hostname", "localhost")
        self.arrived(recv, good)


if __name__ == "__main__":
    main()
