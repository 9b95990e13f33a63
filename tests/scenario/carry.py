# SPDX-License-Identifier: BSD-3-Clause
# carry.py - every kind of channel carries the same busy guest, and nothing of it is lost
import os
import socket
import stat

from ferry import Case, closing, guest, main, missing


class Carry(Case):
    def arrived(self, recv, send):
        sent, received = self.assert_done(send), self.assert_done(recv)
        self.assert_verified(received)
        self.assertGreater(received["guest-blackout"], 0)
        self.assertGreater(sent["downtime-us"], 0)
        self.assertEqual(sent["ram"]["transferred"], received["ram"]["transferred"])
        self.assertEqual(sent["ram"]["normal"], received["ram"]["normal"])
        self.assertEqual(sent["ram"]["duplicate"], received["ram"]["duplicate"])
        return sent, received

    def over(self, uri):
        recv, address = self.receive(uri)
        self.arrived(recv, self.send(address))
        return address

    def test_tcp_v4(self):
        self.assertRegex(self.over("tcp:127.0.0.1:0"), r"^tcp:127\.0\.0\.1:[1-9]")

    def lent(self, uri, expected, manner="on"):
        recv, address = self.receive(uri)
        # What waits for the kernel each time is no match for a busy guest where processors are busy, too.
        sent, _ = self.arrived(recv, self.send(address, "--channels", "2", "--zero-copy-send", manner,
                                               spec=guest(dirty="2MiB/s")))
        for channel in sent["channels"][1:]:
            self.assertIn(channel["zero-copy"], expected)
        self.assertNotIn("zero-copy", sent["channels"][0])

    def test_zero_copy_goes_on_where_the_kernel_copies(self):
        self.lent("tcp:127.0.0.1:0", ["the kernel copies"])

    def test_zero_copy_by_a_ring_goes_on(self):
        self.lent("tcp:127.0.0.1:0", ["the kernel copies", "off"], "uring")

    def test_zero_copy_goes_on_where_there_is_none(self):
        for manner in "on", "uring":
            self.lent("unix:" + self.path("socket"), ["off"], manner)

    def test_as_many_channels_as_bring_something(self):
        recv, address = self.receive("tcp:127.0.0.1:0")
        sent, received = self.arrived(recv, self.send(address, "--channels", "auto"))
        connected = len(sent["channels"]) - 1
        self.assertIn(connected, range(2, 9))
        self.assertEqual(len(received["channels"]), len(sent["channels"]))
        self.assertEqual(sent["channels-used"], connected - sum("unused" in one for one in sent["channels"]))
        self.assertIn(sent["channels-used"], range(1, connected + 1))
        self.assertNotIn("channels-used", received)

    def differences(self, uri, *argv):
        """In the qemu dialect, on the main connection; the guest writes the same pages again and again."""
        recv, address = self.receive(uri)
        sent, received = self.arrived(recv, self.send(
            address, "--peer", "qemu", "--compress", "xbzrle", "--hot-pages", "as-found", "--downtime-limit", "1ms",
            "--max-bandwidth", "200MiB/s", *argv, spec=guest(dirty="20MiB/s")))
        self.assertEqual([channel["role"] for channel in sent["channels"]], ["main"])
        self.assertRegex(sent["channels"][0]["codecs"], "none [1-9]")

    def test_differences_on_the_main_connection(self):
        self.differences("tcp:127.0.0.1:0")

    def test_differences_before_postcopy(self):
        if not missing("userfaultfd"):
            self.differences("tcp:127.0.0.1:0", "--postcopy", "on", "--postcopy-after-rounds", "3")

    def test_tcp_v6(self):
        if not missing("ipv6"):
            self.assertRegex(self.over("tcp:[::1]:0"), r"^tcp:\[::1\]:[1-9]")

    def test_tcp_name(self):
        self.over("tcp:localhost:0,ipv4=on")

    def test_unix(self):
        path = self.path("socket")
        self.over("unix:" + path)
        self.assertFalse(os.path.exists(path))

    def test_unix_abstract(self):
        self.over(f"unix:@ferry-test-{os.getpid()}")

    def test_vsock(self):
        if not missing("vsock"):
            self.over(f"vsock:1:{40000 + os.getpid() % 20000}")

    def test_fd_socketpair(self):
        ends = [end.detach() for end in socket.socketpair()]
        with closing(*ends):
            recv, _ = self.receive(f"fd:{ends[0]}", pass_fds=ends[:1])
            send = self.send(f"fd:{ends[1]}", pass_fds=ends[1:])
        self.arrived(recv, send)

    def test_fd_pipe(self):
        with closing(*os.pipe()) as ends:
            recv, _ = self.receive(f"fd:{ends[0]}", pass_fds=ends[:1])
            send = self.send(f"fd:{ends[1]}", pass_fds=ends[1:])
        self.arrived(recv, send)

    def test_exec(self):
        fifo = self.path("fifo")
        os.mkfifo(fifo)
        recv, _ = self.receive(f"exec:cat {fifo}")
        self.arrived(recv, self.send(f"exec:cat > {fifo}"))

    def test_file_saved_then_loaded(self):
        path = self.path("guest")
        send = self.send("file:" + path)
        sent = self.assert_done(send)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        self.assertEqual(os.stat(path).st_size, sent["ram"]["transferred"])
        recv, _ = self.receive("file:" + path)
        self.arrived(recv, send)

    def test_file_with_an_offset(self):
        path = self.path("guest")
        with open(path, "wb") as f:
            f.write(b"x" * 5000)
        send = self.send(f"file:{path},offset=5000")
        self.assert_done(send)
        with open(path, "rb") as f:
            self.assertEqual(f.read(5000), b"x" * 5000)
        recv, _ = self.receive(f"file:{path},offset=5000")
        self.arrived(recv, send)

    def test_every_tracker(self):
        for tracker in ("uffd-async", "uffd-sync"):
            if tracker == "uffd-async" and missing("wp-async"):
                continue
            with self.subTest(tracker):
                recv, address = self.receive()
                sent, _ = self.arrived(recv, self.send(address, "--tracker", tracker))
                self.assertIn(tracker, sent["tracker"])


if __name__ == "__main__":
    main()
