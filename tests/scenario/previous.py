# SPDX-License-Identifier: BSD-3-Clause
# previous.py - a peer of the previous release, which knows no hello: told so, migrations work as they did with it
import socket

from ferry import DONE, FAILED, PATIENCE, Case, guest, main, size_bytes
from plain_peer import PlainPeer

SMALL = "8MiB"  # it is parsed by python


class Previous(Case):
    def peer(self):
        peer = PlainPeer()
        peer.start()
        return peer

    def move(self, *argv):
        """To a peer of the previous release, without a complaint; the source's report, and the peer."""
        peer = self.peer()
        send = self.send(peer.address, "--peer", "qemu", *argv, spec=guest(SMALL))
        report = self.assert_done(send)
        peer.join(PATIENCE)
        self.assertIsNone(peer.refusal)
        self.assertGreaterEqual(peer.pages, size_bytes(SMALL) // 4096)
        self.assertEqual((report["peer"]["dialect"], report["peer"]["capabilities"]), ("qemu", []))
        return report, peer

    def assert_whole(self, peer):
        """What the peer took is the guest, to the last page."""
        path = self.path("guest")
        with open(path, "wb") as f:
            f.write(peer.stream)
        recv = self.start("recv", "file:" + path, "--guest", "pattern", "--run-on", "20ms")
        self.assert_verified(self.assert_done(recv), SMALL)

    def test_the_previous_release_as_destination(self):
        report, peer = self.move()
        self.assertGreater(peer.pings, 0)
        self.assertGreater(report["peer"]["round-trip"], 0)
        self.assert_whole(peer)

    def test_the_previous_release_as_destination_that_is_not_asked_to_answer(self):
        _, peer = self.move("--return-path", "off")
        self.assertEqual((peer.pings, peer.answers), (0, False))
        self.assert_whole(peer)

    def test_without_being_told_the_source_says_what_to_do(self):
        peer = self.peer()
        send = self.send(peer.address, spec=guest(SMALL))
        status, report = send.end()
        self.assertEqual((status, report["status"]), (FAILED, "failed"))
        self.assertEqual((report["error"]["code"], report["error"]["phase"]), ("bad-hello", "setup"))
        self.assertIn("hung up instead of answering the hello", report["error"]["text"])
        self.assertIn("--peer qemu", report["error"]["hint"])
        self.assertIn(report["error"]["hint"], send.words())
        self.assert_guest_went_on(send, report)
        self.assertEqual(report["ram"]["normal"] + report["ram"]["duplicate"], 0)
        peer.join(PATIENCE)
        self.assertIn("this is not a migration stream: it begins with 46524859", peer.refusal)

    def test_the_previous_release_as_source(self):
        """It sent no commands, and that is what the kept stream is: it comes in at the door that hellos come in at."""
        _, peer = self.move()
        recv, address = self.receive()
        host, port = address.removeprefix("tcp:").rsplit(":", 1)
        with socket.create_connection((host, int(port))) as source:
            source.sendall(peer.stream)
            source.shutdown(socket.SHUT_WR)
            status, report = recv.end()
        self.assertEqual(status, DONE, recv.words())
        self.assertEqual((report["peer"]["dialect"], report["peer"]["capabilities"]), ("qemu", []))
        self.assert_verified(report, SMALL)


if __name__ == "__main__":
    main()
