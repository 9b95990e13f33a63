# SPDX-License-Identifier: BSD-3-Clause
# postcopy.py - the guest goes first, its memory follows: nothing is lost, each page comes once
import ctypes
import os
import signal
import socket
import struct
import threading

import pki
from ferry import DONE, FAILED, SIZE, UNCERTAIN, Case, guest, main, missing, run

import json

CLONE_NEWNS, MS_BIND, MS_REC, MS_PRIVATE = 0x20000, 0x1000, 0x4000, 1 << 18
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
NR_USERFAULTFD, EPERM = 323, 1
BUSY = guest(dirty="200MiB/s", more=",zero=25%,content=mixed")


def without_userfaultfd():
    """In the child: neither the system call nor the device is left."""
    libc = ctypes.CDLL(None, use_errno=True)
    if os.path.exists("/dev/userfaultfd"):
        for call in (libc.unshare(CLONE_NEWNS), libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None),
                     libc.mount(b"/dev/null", b"/dev/userfaultfd", None, MS_BIND, None)):
            if call != 0:
                os._exit(99)
    code = [(0x20, 0, 0, 0), (0x15, 0, 1, NR_USERFAULTFD), (0x06, 0, 0, 0x00050000 | EPERM), (0x06, 0, 0, 0x7FFF0000)]
    rules = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *row) for row in code))
    program = struct.pack("HxxxxxxP", len(code), ctypes.addressof(rules))
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        os._exit(98)


# A round that takes so long that the guest has written meanwhile, however little of the processors it gets.
AFTER_A_ROUND = ["--postcopy", "--postcopy-after-rounds", "1", "--max-bandwidth", "100MiB/s"]


class Network:
    """Between source and destination; all its connections can be cut at once, as a network would."""

    def __init__(self, address):
        self.there = address.rpartition(":")[0].partition(":")[2], int(address.rpartition(":")[2])
        self.door = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp:127.0.0.1:{self.door.getsockname()[1]}"
        self.lock, self.ends, self.came = threading.Condition(), [], 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                pair = [self.door.accept()[0]]
            except OSError:
                return
            pair.append(socket.create_connection(self.there))
            for end in pair:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            with self.lock:
                self.ends += pair
                self.came += 1
                self.lock.notify_all()
            for from_end, to_end in pair, pair[::-1]:
                threading.Thread(target=self.carry, args=(from_end, to_end), daemon=True).start()

    @staticmethod
    def carry(from_end, to_end):
        try:
            while data := from_end.recv(65536):
                to_end.sendall(data)
            to_end.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def cut(self):
        """Returns how many connections there have been so far."""
        with self.lock:
            for end in self.ends:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                end.close()
            self.ends.clear()
            return self.came

    def await_more(self, before):
        with self.lock:
            if not self.lock.wait_for(lambda: self.came > before, 60):
                raise AssertionError("nobody came back")

    def close(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        self.cut()


class Postcopy(Case):
    def cross(self, uri, both=(), source=AFTER_A_ROUND, spec=BUSY):
        recv = self.start("recv", uri, "--guest", spec.partition(":")[0], "--run-on", "100ms", *both)
        address = recv.wait_event("listening")["address"]
        send = self.send(address, *both, *source, spec=spec)
        sent, received = self.assert_done(send), self.assert_done(recv)
        self.assert_verified(received)
        self.assert_followed(sent, received)
        return sent, received

    def assert_followed(self, sent, received):
        there = received["postcopy"]
        self.assertEqual((there["state"], there["missing-pages"], there["duplicates"]), ("end", 0, 0))
        self.assertGreater(there["discarded-pages"], 0)
        self.assertEqual(there["received-pages"], there["discarded-pages"])
        self.assertEqual(there["latency"]["count"], sum(there["latency"]["distribution"]))
        self.assertLessEqual(sent["postcopy"]["requests"], there["requests"])
        self.assertEqual(sent["ram"]["normal"], received["ram"]["normal"])

    def test_over_tcp_encrypted_with_each_codec(self):
        keys = pki.psk(self.path("keys.psk"))
        for codec in "none", "zlib", "zstd", "lz4", "xbzrle", "auto":
            with self.subTest(codec=codec):
                sent, _ = self.cross("tcp:127.0.0.1:0", ["--tls-creds", keys, "--channels", "2", "--compress", codec])
                self.assertEqual([channel["role"] for channel in sent["channels"]],
                                 ["main", "pages", "pages", "urgent"])

    def test_kvm(self):
        if not missing("kvm"):
            self.cross("tcp:127.0.0.1:0", ["--channels", "2"], spec=f"kvm:size={SIZE},dirty=50MiB/s,threads=2")

    def test_what_the_guest_touches_is_asked_for(self):
        limits = ["--max-postcopy-bandwidth", "8MiB/s", "--postcopy-prefetch", "0"]
        sent, received = self.cross("tcp:127.0.0.1:0", ["--channels", "1"],
                                    [*AFTER_A_ROUND, *limits])
        there = received["postcopy"]
        self.assertGreater(there["requests"], 0)
        self.assertGreater(there["latency"]["count"], 0)
        self.assertGreater(sent["postcopy"]["requested-pages"], 0)
        self.assertEqual(sent["postcopy"]["prefetched-pages"], 0)
        self.assertGreater(sum(thread["faults"] for thread in there["threads"]), 0)
        self.assertEqual(len(received["postcopy-vcpu-blocktime"]), len(there["threads"]))

    def test_the_guest_tells_how_long_its_own_touches_took(self):
        limits = ["--max-postcopy-bandwidth", "8MiB/s", "--postcopy-prefetch", "0"]
        spec = guest(dirty="0", more=",reads=4MiB/s")
        sent, received = self.cross("tcp:127.0.0.1:0", ["--channels", "1"], ["--postcopy", "now", *limits], spec)
        by_guest = received["postcopy"]["guest-latency"]
        self.assertGreater(by_guest["count"], 0)
        self.assertGreaterEqual(by_guest["p50-us"], 10)
        self.assertEqual(by_guest["count"], sum(by_guest["distribution"]))
        self.assertGreater(sent["postcopy"]["requested-pages"], 0)

    def test_neighbours_follow(self):
        sent, _ = self.cross("tcp:127.0.0.1:0", ["--channels", "1"], ["--postcopy", "now", "--max-postcopy-bandwidth",
                                                                      "8MiB/s"])
        self.assertGreater(sent["postcopy"]["prefetched-pages"], 0)

    def test_at_once(self):
        sent, received = self.cross("tcp:127.0.0.1:0", source=["--postcopy", "now"])
        self.assertEqual(received["postcopy"]["discarded-pages"], received["ram"]["total"] // 4096)

    def test_after_a_time(self):
        self.cross("unix:" + self.path("socket"), ["--channels", "4"],
                   ["--postcopy", "--postcopy-after", "300ms", "--max-bandwidth", "50MiB/s"])

    def test_when_precopy_cannot_converge(self):
        sent, _ = self.cross("tcp:127.0.0.1:0", ["--channels", "1"],
                             ["--postcopy", "auto", "--max-bandwidth", "50MiB/s"])
        self.assertLess(sent["ram"]["dirty-sync-count"], 30)

    def test_on_one_connection(self):
        sent, _ = self.cross("unix:" + self.path("socket"), ["--channels", "0"])
        self.assertEqual([channel["role"] for channel in sent["channels"]], ["main", "urgent"])

    def test_in_the_qemu_dialect(self):
        for preempt in "off", "on", "early":
            with self.subTest(preempt=preempt):
                self.cross("tcp:127.0.0.1:0", ["--postcopy-preempt", preempt],
                           [*AFTER_A_ROUND, "--peer", "qemu"])

    def test_a_device_whose_memory_follows(self):
        sent, received = self.cross("tcp:127.0.0.1:0", ["--channels", "2"], spec=BUSY + ",vfio=16MiB")
        self.assertGreater(sent["vfio"]["transferred"], 16 << 20)

    def test_it_may_end_before(self):
        recv, address = self.receive()
        sent = self.assert_done(self.send(address, "--postcopy", spec=guest(dirty="1MiB/s")))
        received = self.assert_done(recv)
        self.assert_verified(received)
        self.assertNotIn("postcopy", sent)

    def test_a_destination_that_cannot(self):
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", preexec_fn=without_userfaultfd)
        send = self.send(recv.wait_event("listening")["address"], "--postcopy")
        for side in send, recv:
            status, report = side.end()
            self.assertEqual((status, report["error"]["code"]), (FAILED, "postcopy-unsupported"), side.words())
            self.assertEqual(report["ram"]["normal"], 0)
        self.assert_guest_went_on(send, send.seen[-1])

    def test_the_source_dies_behind_the_switch(self):
        # A guest whose threads may wait for ever is left as it is, and its session with it.
        options = os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"
        recv, address = self.receive(env={**os.environ, "TSAN_OPTIONS": options})
        send = self.send(address, "--postcopy", "now", "--max-postcopy-bandwidth", "1MiB/s")
        recv.wait_event("figures", status="postcopy-active")
        send.signal(signal.SIGKILL)
        status, report = recv.end()
        self.assertEqual((status, report["status"]), (UNCERTAIN, "postcopy-paused"), recv.words())
        self.assertEqual(report["error"]["code"], "postcopy-interrupted")
        self.assertGreater(report["postcopy"]["missing-pages"], 0)

    def test_a_service_that_keeps_such_a_guest_ends(self):
        options = os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"
        recv, address = self.receive("tcp:127.0.0.1:0", "--serve", env={**os.environ, "TSAN_OPTIONS": options})
        send = self.send(address, "--postcopy", "now", "--max-postcopy-bandwidth", "1MiB/s")
        recv.wait_event("figures", status="postcopy-active")
        send.signal(signal.SIGKILL)
        status, report = recv.end()
        self.assertEqual((status, report["status"]), (UNCERTAIN, "postcopy-paused"), recv.words())
        self.assertIn("none can be taken beside it", recv.words())

    def test_the_destination_dies_behind_the_switch(self):
        recv, address = self.receive()
        send = self.send(address, "--postcopy", "now", "--max-postcopy-bandwidth", "1MiB/s")
        send.wait_event("figures", status="postcopy-active")
        recv.signal(signal.SIGKILL)
        status, report = send.end()
        self.assertEqual((status, report["status"]), (UNCERTAIN, "postcopy-paused"), send.words())
        self.assertEqual(report["error"]["code"], "postcopy-interrupted")
        self.assertFalse(report["guest"]["runs-here"])

    def test_a_network_that_breaks_heals(self):
        keys = pki.psk(self.path("keys.psk"))
        both = ["--tls-creds", keys, "--postcopy-retry", "60s", "--channels", "2"]
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--run-on", "100ms", *both)
        network = Network(recv.wait_event("listening")["address"])
        self.addCleanup(network.close)
        send = self.send(network.address, *both, *AFTER_A_ROUND, "--max-postcopy-bandwidth", "1MiB/s",
                         "--qmp", "unix:" + self.path("qmp"), spec=BUSY)
        for side in send, recv:
            side.wait_event("figures", status="postcopy-active")
        before = network.cut()
        network.await_more(before)
        network.await_more(network.cut())
        self.assertEqual(run("ctl", "unix:" + self.path("qmp"), "x-ferry-set-option", "name=max-postcopy-bandwidth",
                             "value=unlimited")[0], DONE)
        sent, received = self.assert_done(send), self.assert_done(recv)
        self.assert_verified(received)
        self.assertEqual((received["postcopy"]["missing-pages"], received["postcopy"]["duplicates"]), (0, 0))
        self.assertEqual(received["postcopy"]["received-pages"], received["postcopy"]["discarded-pages"])
        for report in sent, received:
            self.assertIn(report["postcopy"]["resumed"], (1, 2))
            self.assertGreater(report["postcopy"]["broken-time"], 0)
        # What went and did not come went twice, and nothing else did.
        self.assertLessEqual((sent["ram"]["normal"] + sent["ram"]["duplicate"] - received["ram"]["normal"] -
                              received["ram"]["duplicate"]) * 4096, sent["postcopy"]["resent-bytes"])

    def test_the_demo(self):
        status, out, words = run("demo", "--guest", BUSY, "--postcopy", "--json", "-")
        self.assertEqual(status, DONE, words)
        report = json.loads(out)
        self.assert_followed(report["source"], report["destination"])
        self.assertTrue(all("tls" in channel for channel in report["channels"]))


if __name__ == "__main__":
    main()
