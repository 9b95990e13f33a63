# SPDX-License-Identifier: BSD-3-Clause
# service.py - recv --serve as a service: readiness, a socket that is handed over, logs as JSON, and the units
import json
import os
import shutil
import signal
import socket
import subprocess

from ferry import DONE, FERRY, PATIENCE, USAGE, Case, main

SMALL = "pattern:size=8MiB,dirty=1MiB/s"
RECV = ("recv", "--guest", "pattern", "--run-on", "20ms", "--serve")
EXPOSURE_MAX = 20  # tenths; systemd calls up to 4.0 OK


class Notified:
    """The socket of a service manager."""

    def __init__(self, case):
        self.path = case.path("notify")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        case.addCleanup(self.socket.close)
        self.socket.bind(self.path)
        self.socket.settimeout(PATIENCE)
        self.heard = []

    def wait(self, text):
        while not any(text in message for message in self.heard):
            self.heard.append(self.socket.recv(4096).decode())


class Service(Case):
    def hand_over(self, count=1, **kwargs):
        """recv with LISTEN_FDS; returns it and the address."""
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listening:
            listening.bind(("127.0.0.1", 0))
            listening.listen(16)
            fd, port = listening.fileno(), listening.getsockname()[1]
            script = f'LISTEN_PID=$$ LISTEN_FDS={count} exec "$@" 3<&{fd}'
            recv = self.start("-c", script, "sh", FERRY, *RECV, program="sh", pass_fds=(fd,), **kwargs)
        return recv, f"tcp:127.0.0.1:{port}"

    def test_the_manager_hears_how_it_goes(self):
        notified = Notified(self)
        recv = self.start("recv", "tcp:127.0.0.1:0", *RECV[1:], env=dict(os.environ, NOTIFY_SOCKET=notified.path))
        address = recv.wait_event("listening")["address"]
        notified.wait("READY=1")
        notified.wait(f"STATUS=waiting on {address}, 0 done")
        self.assert_done(self.send(address, spec=SMALL))
        notified.wait(f"STATUS=waiting on {address}, 1 done")
        self.assertNotIn("STOPPING=1", notified.heard)
        recv.signal(signal.SIGTERM)
        notified.wait("STOPPING=1")
        self.assertEqual(recv.end()[0], DONE)

    def test_a_socket_that_is_handed_over(self):
        recv, address = self.hand_over()
        self.assertEqual(recv.wait_event("listening")["address"], address)
        for _ in range(2):
            self.assert_done(self.send(address, spec=SMALL))
            self.assertEqual(recv.wait_event("report")["status"], "completed")
            recv.wait_event("next")
        recv.signal(signal.SIGTERM)
        self.assertEqual(recv.end()[0], DONE)

    def test_two_sockets_are_one_too_many(self):
        recv, _ = self.hand_over(2)
        self.assertEqual(recv.end()[0], USAGE)
        self.assertIn("hands over 2 sockets", recv.words())

    def test_the_socket_of_another_process_is_not_ours(self):
        done = subprocess.run([FERRY, *RECV], env=dict(os.environ, LISTEN_PID="1", LISTEN_FDS="1"), capture_output=True,
                              text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("the URI is missing", done.stderr)

    def test_logs_are_lines_of_json_with_the_session(self):
        recv = self.start("recv", "tcp:127.0.0.1:0", *RECV[1:], "--log-format", "json", "--log", "debug")
        address = recv.wait_event("listening")["address"]
        sessions = []
        for _ in range(2):
            self.assert_done(self.send(address, spec=SMALL))
            sessions.append(recv.wait_event("report")["session"])
            recv.wait_event("next")
        recv.signal(signal.SIGTERM)
        self.assertEqual(recv.end()[0], DONE)
        lines = [json.loads(line) for line in recv.words().splitlines()]
        for line in lines:
            self.assertRegex(line["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
            self.assertIn(line["level"], ("error", "warn", "info", "debug"))
            self.assertTrue(line["topic"] and line["message"])
        for number, session in enumerate(sessions, 1):
            mine = [line for line in lines if line["migration"] == number]
            self.assertEqual({line["session"] for line in mine if "session" in line}, {session})
            reports = [line["report"] for line in mine if line["topic"] == "report"]
            self.assertEqual([report["status"] for report in reports], ["completed"])
        self.assertEqual(recv.words(recv.stdout), "")

    def test_an_error_is_a_line_of_json_too(self):
        send = self.send("tcp:127.0.0.1:1", "--log-format", "json", "--connect-timeout", "1", spec=SMALL)
        self.assertNotEqual(send.end()[0], DONE)
        errors = [line for line in map(json.loads, send.words().splitlines()) if line["level"] == "error"]
        self.assertEqual([line["error"]["code"] for line in errors], ["connection-refused"])

    def test_the_format_of_logs_is_one_of_two(self):
        done = subprocess.run([FERRY, "recv", "tcp:127.0.0.1:0", *RECV[1:], "--log-format", "xml"], capture_output=True,
                              text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, USAGE)
        self.assertIn("'xml' is neither text nor json", done.stderr)


class Units(Case):
    def setUp(self):
        super().setUp()
        if not shutil.which("systemd-analyze"):
            print("SKIP: needs tools: systemd-analyze", flush=True)
            self.skipTest("no systemd-analyze")
        self.units = []
        for name in sorted(os.listdir(os.environ["UNITS"])):
            if name.endswith((".service", ".socket")):
                with open(os.path.join(os.environ["UNITS"], name)) as f:
                    text = f.read()
                with open(self.path(name), "w") as f:
                    f.write(text.replace("ExecStart=" + os.environ["INSTALLED"], "ExecStart=" + FERRY))
                self.units.append(self.path(name))

    def analyze(self, *argv):
        return subprocess.run(["systemd-analyze", *argv], capture_output=True, text=True, timeout=PATIENCE)

    def test_they_are_well_formed(self):
        self.assertEqual(len(self.units), 3)
        done = self.analyze("verify", "--man=no", *self.units)
        mine = [line for line in done.stderr.splitlines() if self.folder in line or "ferry" in line]
        self.assertEqual((done.returncode, mine), (0, []))

    def test_they_are_hardened(self):
        for unit in self.units:
            if unit.endswith(".service"):
                done = self.analyze("security", "--offline=true", f"--threshold={EXPOSURE_MAX}", "--no-pager", unit)
                self.assertEqual(done.returncode, 0, done.stdout[-400:])

    def test_userfaultfd_is_let_through(self):
        for unit in self.units:
            with open(unit) as f:
                text = f.read()
            self.assertTrue(unit.endswith(".socket") or "SystemCallFilter=@system-service userfaultfd\n" in text, unit)


if __name__ == "__main__":
    main()
