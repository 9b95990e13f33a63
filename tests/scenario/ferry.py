# SPDX-License-Identifier: BSD-3-Clause
# ferry.py - the program under test: run it, hear its events, read its reports
#
# The program is $FERRY.  FERRY_TEST_SIZE is the memory of the guests (64MiB), FERRY_TEST_PATIENCE how many seconds
# anything may take before it counts as hung (120).
import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import probe  # noqa: E402

FERRY = os.environ["FERRY"]
SIZE = os.environ.get("FERRY_TEST_SIZE", "64MiB")
PATIENCE = float(os.environ.get("FERRY_TEST_PATIENCE", "120"))
UNITS = {"KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
DONE, FAILED, USAGE, MISMATCH, UNCERTAIN = range(5)


def size_bytes(text=SIZE):
    return int(text[:-3]) * UNITS[text[-3:]]


def guest(size=SIZE, dirty="20MiB/s", more=",zero=25%"):
    return f"pattern:size={size},dirty={dirty}{more}"


def run(*argv, **kwargs):
    """A command that ends by itself; returns (exit status, stdout, stderr)."""
    done = subprocess.run([FERRY, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE,
                          **kwargs)
    return done.returncode, done.stdout, done.stderr


class Side:
    """A running ferry whose events are heard.  Its report is its last event."""

    def __init__(self, *argv, program=FERRY, pass_fds=(), **kwargs):
        self.argv = argv
        self.seen, self.text = [], b""
        self.events, inherited = os.pipe()
        self.stdout, self.stderr = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")
        kwargs.setdefault("stderr", self.stderr)
        self.process = subprocess.Popen(
            [program, *argv, "--events", str(inherited)], stdin=subprocess.DEVNULL, stdout=self.stdout,
            pass_fds=(inherited, *pass_fds), **kwargs)
        os.close(inherited)

    def next_event(self, deadline):
        """The next event, or None at the end."""
        while b"\n" not in self.text:
            if not select.select([self.events], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError(f"ferry {self.argv}: nothing happens any more; its last words:\n{self.words()}")
            more = os.read(self.events, 65536)
            if not more:
                return None
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        self.seen.append(json.loads(line))
        return self.seen[-1]

    def wait_event(self, name, **fields):
        """Reads on until an event of this name has these fields."""
        deadline = time.monotonic() + PATIENCE
        while (event := self.next_event(deadline)) is not None:
            if event["event"] == name and all(event.get(k) == v for k, v in fields.items()):
                return event
        raise AssertionError(f"ferry {self.argv} ended before {name} {fields}: {self.seen[-1:]}\n{self.words()}")

    def end(self):
        """Waits for its end; returns (exit status, report)."""
        deadline = time.monotonic() + PATIENCE
        while self.next_event(deadline) is not None:
            pass
        status = self.process.wait(timeout=PATIENCE)
        reports = [event for event in self.seen if event["event"] == "report"]
        return status, reports[-1] if reports else None

    def words(self, stream=None):
        stream = stream or self.stderr
        stream.seek(0)
        return stream.read()

    def signal(self, number=signal.SIGINT):
        self.process.send_signal(number)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        os.close(self.events)
        self.stdout.close()
        self.stderr.close()


class Case(unittest.TestCase):
    """A test with a folder of its own, whose processes never outlive it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ferry-")
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, *argv, **kwargs):
        side = Side(*argv, **kwargs)
        self.addCleanup(side.close)
        return side

    def receive(self, uri="tcp:127.0.0.1:0", *argv, **kwargs):
        """A destination that listens, and its address."""
        side = self.start("recv", uri, "--guest", "pattern", "--run-on", "20ms", *argv, **kwargs)
        return side, side.wait_event("listening")["address"]

    def send(self, uri, *argv, spec=None, **kwargs):
        return self.start("send", uri, "--guest", spec or guest(), *argv, **kwargs)

    def assert_done(self, side):
        status, report = side.end()
        self.assertEqual(status, DONE, side.words())
        self.assertEqual(report["status"], "completed")
        return report

    def assert_guest_went_on(self, side, report):
        """At the source, after a migration that came to nothing."""
        self.assertIs(report["guest"]["runs-here"], True)
        self.assertIn("the guest goes on here", side.words())

    def assert_verified(self, report, size=SIZE):
        verify = report["verify"]
        self.assertEqual((verify["mismatched"], verify["lost-writes"]), (0, 0), verify)
        self.assertGreaterEqual(verify["pages"], size_bytes(size) // 4096)


def missing(thing):
    """Says so, once, when this machine lacks what a part of a test needs."""
    if probe.present(thing):
        return False
    print(f"SKIP: needs {thing}: not on this machine", flush=True)
    return True


@contextlib.contextmanager
def closing(*descriptors):
    try:
        yield descriptors
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


def main():
    if missing("userfaultfd"):
        sys.exit(77)
    unittest.main(verbosity=2)
