# SPDX-License-Identifier: BSD-3-Clause
# serve.py - recv --serve takes one migration after another, and none that fails is the last
import json
import os
import signal
import socket

from ferry import DONE, USAGE, Case, main, run

SMALL = "pattern:size=8MiB,dirty=1MiB/s"


class Serve(Case):
    def serve(self, uri="tcp:127.0.0.1:0", *argv, **kwargs):
        return self.receive(uri, "--serve", *argv, **kwargs)

    def next_report(self, recv):
        report = recv.wait_event("report")
        recv.wait_event("next")
        return report

    def test_one_after_another(self):
        lines = self.path("reports")
        recv, address = self.serve("tcp:127.0.0.1:0", "--json", lines)
        sessions = set()
        for _ in range(3):
            sent = self.assert_done(self.send(address, spec=SMALL))
            report = self.next_report(recv)
            self.assert_verified(report, "8MiB")
            self.assertRegex(report["session"], r"^[0-9a-f]{32}$")
            self.assertEqual(sent["session"], report["session"])
            sessions.add(report["session"])
        self.assertEqual(len(sessions), 3)
        recv.signal(signal.SIGTERM)
        self.assertEqual(recv.end()[0], DONE, recv.words())
        with open(lines) as f:
            self.assertEqual([json.loads(line)["status"] for line in f], ["completed"] * 3)

    def test_a_failed_one_does_not_end_it(self):
        recv, address = self.serve()
        host, port = address.split(":")[1:]
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(b"QEVM\0\0\0\3" + b"\xff" * 4096)
            report = self.next_report(recv)
        self.assertEqual(report["status"], "failed")
        self.assertIn("text", report["error"])
        self.assert_done(self.send(address, spec=SMALL))
        self.assertEqual(self.next_report(recv)["status"], "completed")

    def test_a_second_source_waits_for_its_turn(self):
        recv, address = self.serve("unix:" + self.path("in"))
        first = self.send(address, "--max-bandwidth", "16MiB/s", spec=SMALL)
        first.wait_event("figures", status="active")
        second = self.send(address, "--setup-timeout", "60s", spec=SMALL)
        for sender in (first, second):
            self.assert_done(sender)
            self.assertEqual(self.next_report(recv)["status"], "completed")
        recv.signal()
        self.assertEqual(recv.end()[0], DONE)
        self.assertFalse(os.path.exists(self.path("in")))

    def test_page_channels_each_time(self):
        recv, address = self.serve()
        for channels in ("2", "0", "3"):
            self.assert_done(self.send(address, "--channels", channels, spec=SMALL))
            report = self.next_report(recv)
            self.assertEqual((report["status"], len(report["channels"])), ("completed", 1 + int(channels)))

    def test_the_end_when_nobody_comes(self):
        recv, address = self.serve("tcp:127.0.0.1:0", "--timeout", "300ms")
        self.assertEqual(recv.end(), (DONE, None))
        self.assertIn("nobody comes any more", recv.words())

    def test_a_signal_cancels_what_runs(self):
        recv, address = self.serve()
        send = self.send(address, "--max-bandwidth", "1MiB/s", spec=SMALL)
        recv.wait_event("figures", status="active")
        recv.signal(signal.SIGTERM)
        status, report = recv.end()
        self.assertEqual((status, report["status"]), (DONE, "cancelled"))
        self.assert_guest_went_on(send, send.end()[1])

    def test_one_connection_cannot_be_served_twice(self):
        status, _, err = run("recv", "exec:true", "--guest", "pattern", "--serve")
        self.assertEqual(status, USAGE)
        self.assertIn("--serve: exec:true gives one connection only", err)


if __name__ == "__main__":
    main()
