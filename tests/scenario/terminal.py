# SPDX-License-Identifier: BSD-3-Clause
# terminal.py - a progress line on a terminal, and nothing of it anywhere else
import fcntl
import os
import pty
import re
import struct
import termios

from ferry import DONE, Case, guest, main

# Slow enough to be seen moving, fast enough not to be waited for.
SPEC, SPEED = guest("16MiB", "1MiB/s", ""), ("--max-bandwidth", "32MiB/s")


class Terminal(Case):
    def seen(self, columns, *argv, spec=SPEC):
        """What a terminal of so many columns gets to see of a send."""
        recv, address = self.receive()
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        send = self.send(address, *SPEED, *argv, spec=spec, stderr=slave, env=dict(os.environ, TERM="xterm"))
        os.close(slave)
        text = b""
        try:
            while more := os.read(master, 65536):
                text += more
        except OSError:  # EIO: the last to hold the other end is gone
            pass
        os.close(master)
        self.assertEqual(send.end()[0], DONE, text)
        self.assertEqual(recv.end()[0], DONE)
        return text.decode()

    def lines(self, text):
        return [line.removesuffix("\x1b[K") for line in re.findall(r"\r([^\r\n]+)", text) if line != "\x1b[K"]

    def test_percent_never_runs_backwards(self):
        text = self.seen(100, "--max-bandwidth", "8MiB/s")  # some twenty looks, of which three will do
        lines = self.lines(text)
        percents = [int(p) for line in lines for p in re.findall(r"(\d+)%", line)]
        self.assertGreaterEqual(len(percents), 3, text)
        self.assertEqual(percents, sorted(percents))
        self.assertTrue(any(re.search(r"active \[#.*MiB/s", line) for line in lines), lines)
        self.assertLess(max(map(len, lines)), 100)

    def test_the_line_is_gone_at_the_end(self):
        text = self.seen(100)
        self.assertIn("\r\x1b[K", text)
        self.assertNotIn("%", text.rsplit("\r\x1b[K", 1)[1])

    def test_a_narrow_terminal(self):
        lines = self.lines(self.seen(20))
        self.assertLess(max(map(len, lines)), 20)
        self.assertTrue(any("%" in line for line in lines))

    def test_quiet(self):
        self.assertEqual(self.seen(80, "--quiet"), "")

    def test_the_story_instead(self):
        self.assertNotIn("%", self.seen(80, "--log", "info"))

    def test_no_terminal_no_line(self):
        recv, address = self.receive()
        send = self.send(address, *SPEED, spec=SPEC)
        for side in (send, recv):
            self.assert_done(side)
            self.assertNotIn("%", side.words())
            self.assertNotIn("\r", side.words())


if __name__ == "__main__":
    main()
