# SPDX-License-Identifier: BSD-3-Clause
# mapped.py - a busy guest is saved to fixed places of a file and comes back whole; what is wrong with a file is said
import os

from ferry import Case, FAILED, guest, main, size_bytes


class Mapped(Case):
    def save(self, *argv, uri="", spec=None):
        path = self.path("guest")
        return path, self.assert_done(self.send(f"file:{path}{uri}", "--mapped-ram", "on", *argv, spec=spec))

    def load(self, path, *argv, uri=""):
        recv, _ = self.receive(f"file:{path}{uri}", *argv)
        report = self.assert_done(recv)
        self.assert_verified(report)
        return report

    def refused(self, path, words, *argv):
        recv = self.start("recv", f"file:{path}", "--guest", "pattern", *argv)
        status, report = recv.end()
        self.assertEqual(status, FAILED)
        self.assertIn(words, report["error"]["text"])
        return report

    def test_saved_while_it_writes_and_loaded(self):
        path, sent = self.save()
        self.assertEqual(sent["mapped-ram"]["bytes"], sent["ram"]["normal-bytes"])
        self.assertLessEqual(os.stat(path).st_blocks * 512, size_bytes() * 3 // 4 + (2 << 20))
        received = self.load(path)
        self.assertEqual(received["mapped-ram"]["manner"], "page cache")
        self.assertEqual(received["ram"]["normal"] + received["ram"]["duplicate"], size_bytes() // 4096)

    def test_any_number_of_threads(self):
        path, sent = self.save("--channels", "5")
        self.assertEqual(sent["mapped-ram"]["threads"], 5)
        self.assertEqual(self.load(path, "--channels", "3", "--mapped-ram", "on")["mapped-ram"]["threads"], 3)

    def test_past_the_page_cache(self):
        path, sent = self.save(uri=",direct=on")
        self.assertIn(sent["mapped-ram"]["manner"], ("O_DIRECT, io_uring", "O_DIRECT", "page cache"))
        self.load(path, uri=",direct=on")
        self.load(path)

    def test_behind_something_else_in_the_file(self):
        path = self.path("guest")
        with open(path, "wb") as f:
            f.write(b"x" * 70000)
        self.assert_done(self.send(f"file:{path},offset=70000", "--mapped-ram", "on"))
        with open(path, "rb") as f:
            self.assertEqual(f.read(70000), b"x" * 70000)
        self.load(path, uri=",offset=70000")

    def test_memory_that_was_never_touched_takes_no_room(self):
        path, sent = self.save(spec=guest(dirty="0", more=",zero=100%"))
        self.assertLess(os.stat(path).st_blocks * 512, 4 << 20)
        self.load(path)

    def test_checksums(self):
        path, sent = self.save("--page-sums", "on")
        self.load(path)
        with open(path, "r+b") as f:
            page = 1 << 20
            f.seek(page)
            while not any(data := f.read(4096)):
                page += 4096
            f.seek(page + 100)
            f.write(bytes([data[100] ^ 1]))
        self.refused(path, "does not have its checksum")

    def test_truncated(self):
        path, _ = self.save()
        os.truncate(path, size_bytes() // 2)
        self.refused(path, "but the file has")

    def test_damaged(self):
        path, _ = self.save()
        with open(path, "r+b") as f:
            head = f.read(4096)
            at = head.index((4096).to_bytes(8, "big"))
            f.seek(at)
            f.write((8192).to_bytes(8, "big"))
        self.refused(path, "pages of 8192 bytes")
        with open(path, "r+b") as f:
            f.seek(at)
            f.write((4096).to_bytes(8, "big"))
            f.write((1).to_bytes(8, "big"))
        self.refused(path, "bitmap")

    def test_options_that_do_not_fit(self):
        path, _ = self.save()
        self.refused(path, "mapped-ram is off", "--mapped-ram", "off")
        plain = self.path("plain")
        self.assert_done(self.send(f"file:{plain}"))
        self.refused(plain, "not a mapped-ram stream", "--mapped-ram", "on")
        send = self.send("exec:cat > /dev/null", "--mapped-ram", "on")
        status, report = send.end()
        self.assertEqual(status, FAILED)
        self.assertIn("fixed places in a file", report["error"]["text"])
        self.assert_guest_went_on(send, report)

    def test_a_full_disk_leaves_the_guest_running(self):
        send = self.send("file:/dev/full", "--mapped-ram", "on")
        status, report = send.end()
        self.assertEqual(status, FAILED)
        self.assert_guest_went_on(send, report)


main()
