# SPDX-License-Identifier: BSD-3-Clause
# failure.py - whatever ends a migration early: status 1, the reason in a sentence, and the guest goes on at the source
import os
import signal
import socket

from ferry import DONE, FAILED, MISMATCH, Case, guest, main, run

SLOW = ("--max-bandwidth", "4MiB/s")  # 64 MiB then take long enough to be in the middle of


class Failure(Case):
    def free_port(self):
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            return listener.getsockname()[1]

    def moving(self):
        """Both sides in the middle of it."""
        recv, address = self.receive()
        send = self.send(address, *SLOW)
        send.wait_event("figures", status="active")
        recv.wait_event("figures", status="active")
        return recv, send

    def failed(self, side, status="failed"):
        code, report = side.end()
        self.assertEqual(code, FAILED, side.words())
        self.assertEqual(report["status"], status)
        return report

    def cancelled(self, send):
        report = self.failed(send, "cancelled")
        self.assert_guest_went_on(send, report)
        return report

    def test_nobody_listens(self):
        uri = f"tcp:127.0.0.1:{self.free_port()}"
        send = self.send(uri, "--connect-timeout", "0")
        report = self.failed(send)
        self.assert_guest_went_on(send, report)
        self.assertEqual((report["error"]["code"], report["error"]["phase"], report["error"]["side"]),
                         ("connection-refused", "connect", "source"))
        self.assertIn(uri, report["error"]["text"])
        self.assertIn("ferry recv", report["error"]["hint"])
        self.assertIn(report["error"]["text"], send.words())

    def test_nobody_connects(self):
        recv, _ = self.receive("tcp:127.0.0.1:0", "--timeout", "20ms")
        report = self.failed(recv)
        self.assertEqual((report["error"]["code"], report["error"]["phase"]), ("nobody-connected", "setup"))

    def test_a_source_that_comes_first_waits(self):
        path = self.path("socket")
        send = self.send("unix:" + path, "--connect-timeout", "60s")
        send.wait_event("connecting")
        recv, _ = self.receive("unix:" + path)
        self.assert_done(send)
        self.assert_verified(self.assert_done(recv))

    def test_cancel_while_connecting(self):
        send = self.send(f"tcp:127.0.0.1:{self.free_port()}", "--connect-timeout", "10min")
        send.wait_event("connecting")
        send.signal()
        self.cancelled(send)

    def test_cancel_while_waiting(self):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            recv, _ = self.receive()
            recv.signal(number)
            self.failed(recv, "cancelled")

    def test_cancel_at_the_start(self):
        recv, address = self.receive()
        send = self.send(address, *SLOW)
        send.wait_event("figures")
        send.signal()
        self.cancelled(send)
        recv.signal()  # no hello may have come: then it waits for another source
        code, report = recv.end()
        self.assertEqual(code, FAILED, recv.words())
        self.assertIn(report["status"], ("failed", "cancelled"))

    def test_cancel_in_the_middle(self):
        for number in (signal.SIGINT, signal.SIGTERM):
            recv, send = self.moving()
            send.signal(number)
            report = self.cancelled(send)
            self.assertGreater(report["ram"]["remaining"], 0)
            self.assertFalse(self.failed(recv)["guest"]["runs-here"])

    def test_cancel_while_the_guest_stands_still(self):
        recv, address = self.receive()
        send = self.send(address, "--max-bandwidth", "2MiB/s", "--downtime-limit", "1000s",
                         spec="pattern:size=8MiB,dirty=unlimited")
        send.wait_event("figures", status="device")
        send.signal()
        self.cancelled(send)
        self.failed(recv)

    def test_cancel_at_the_destination(self):
        recv, send = self.moving()
        recv.signal()
        self.failed(recv, "cancelled")
        report = self.failed(send)
        self.assert_guest_went_on(send, report)

    def test_destination_killed(self):
        recv, send = self.moving()
        recv.signal(signal.SIGKILL)
        report = self.failed(send)
        self.assert_guest_went_on(send, report)
        self.assertIn(report["error"]["code"], ("connection-lost", "stream-ended"))
        self.assertIn("tcp:127.0.0.1:", report["error"]["text"])
        self.assertEqual(report["error"]["phase"], "active")

    def test_source_killed(self):
        recv, send = self.moving()
        send.signal(signal.SIGKILL)
        report = self.failed(recv)
        self.assertIn(report["error"]["code"], ("connection-lost", "stream-ended"))
        self.assertEqual(report["error"]["side"], "destination")
        self.assertFalse(report["guest"]["runs-here"])

    def test_a_child_that_stops_reading(self):
        send = self.send("exec:head -c 1000000 > /dev/null; exit 7")
        report = self.failed(send)
        self.assert_guest_went_on(send, report)
        self.assertIn("status 7", report["error"]["text"])

    def test_a_child_that_fails_when_it_has_everything(self):
        send = self.send("exec:cat > /dev/null; exit 7")
        report = self.failed(send)
        self.assert_guest_went_on(send, report)
        self.assertIn("status 7", report["error"]["text"])

    def test_a_full_disk(self):
        send = self.send("file:/dev/full")
        report = self.failed(send)
        self.assert_guest_went_on(send, report)

    def test_a_guest_that_cannot_be_overtaken(self):
        recv, address = self.receive()
        send = self.send(address, "--max-bandwidth", "32MiB/s", "--downtime-limit", "1ms", "--give-up-after", "2",
                         spec="pattern:size=8MiB,dirty=unlimited")
        report = self.failed(send)
        self.assert_guest_went_on(send, report)
        self.assertEqual(report["verdict"], "cannot-converge")
        self.assertIn("cannot converge", report["error"]["text"])
        # What the source found is what the destination reports, too.
        told = self.failed(recv)["error"]
        self.assertIs(told.pop("from-peer"), True)
        self.assertEqual(told, report["error"])
        self.assertEqual((told["code"], told["side"], told["phase"]), ("cannot-converge", "source", "active"))

    def test_something_that_is_no_migration(self):
        path = self.path("noise")
        with open(path, "wb") as f:
            f.write(os.urandom(100000))
        recv, _ = self.receive("file:" + path)
        report = self.failed(recv)
        self.assertIn(path, report["error"]["text"])

    def test_a_guest_that_was_damaged_on_its_way(self):
        path = self.path("guest")
        self.assertEqual(run("send", "file:" + path, "--guest", guest("8MiB", "0", ""))[0], DONE)
        size = os.stat(path).st_size
        codes = set()
        # One of these may meet the head of a page, the other then does not.
        for offset in (size // 2, size // 2 + 100):
            with open(path, "r+b") as f:
                f.seek(offset)
                byte = f.read(1)[0]
                f.seek(offset)
                f.write(bytes([byte ^ 16]))
            recv, _ = self.receive("file:" + path)
            code, report = recv.end()
            codes.add(code)
            if code == MISMATCH:
                self.assertGreater(report["verify"]["mismatched"], 0)
                self.assertIn("verification failed", report["error"]["text"])
                self.assertEqual(report["error"]["phase"], "verify")
        self.assertIn(MISMATCH, codes)
        self.assertNotIn(DONE, codes)


if __name__ == "__main__":
    main()
