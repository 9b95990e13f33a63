#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# qmp_shape_test.py - what was said to a real QEMU is said to Ferry, by socat; the answers have the same shape
#
# Each line of qmp/qemu-10.jsonl is played to a source or a destination that is in the same status.  The answers are
# compared with those of both QEMUs.  FERRY_QMP_RECORD=FILE keeps Ferry's, for tests/interop/qmp_page.py.
#
# Clients get a fiftieth of a processor, so an answer may take seconds on a busy machine or with a sanitizer: no status
# here passes before it has been asked for.
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import probe  # noqa: E402
from qmp_shapes import OTHERWISE, QEMUS, compare, load  # noqa: E402

FERRY = os.environ["FERRY"]
PATIENCE = float(os.environ.get("FERRY_TEST_PATIENCE", "120"))
# What measures is asked and told twice within its second: all in one piece.
TOGETHER = ("calc-dirty-rate", "query-dirty-rate, measuring", "calc-dirty-rate twice")


class Socat:
    def __init__(self, path):
        # The name of a socket is there a little before anybody listens.
        where = f"UNIX-CONNECT:{path},retry={round(PATIENCE * 20)},interval=0.05"
        self.process = subprocess.Popen(["socat", "-t", "5", "-", where], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.text, self.events = b"", []
        self.greeting = self.receive()

    def receive(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.text:
            if not select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError("no answer")
            more = os.read(self.process.stdout.fileno(), 65536)
            if not more:
                raise AssertionError("hung up")
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return json.loads(line)

    def say(self, *texts):
        self.process.stdin.write("".join(text + "\n" for text in texts).encode())
        self.process.stdin.flush()

    def answer(self):
        while "event" in (answer := self.receive()):
            self.events.append(answer)
        return answer

    def ask(self, text):
        self.say(text)
        return self.answer()

    def do(self, name, /, **arguments):
        answer = self.ask(json.dumps({"execute": name, "arguments": arguments}))
        if "error" in answer:
            raise AssertionError(f"{name}: {answer['error']}")
        return answer["return"]

    def wait(self, *statuses):
        self.until("query-migrate", lambda told: told.get("status") in statuses)

    def until(self, name, holds):
        """Less and less often: who asks much is heard late."""
        deadline, pause = time.monotonic() + PATIENCE, 0.02
        while not holds(told := self.do(name)):
            if time.monotonic() > deadline:
                raise AssertionError(f"{name}: {told} for ever")
            time.sleep(pause)
            pause = min(2 * pause, 0.5)

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.kill()
        self.process.wait()


class Shapes(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="ferry-qmp-")
        self.addCleanup(shutil.rmtree, self.folder)
        self.ours, self.sink = [], None
        self.source = self.start("source", "send", "--guest", "pattern:size=48MiB,dirty=256KiB/s", "--setup-timeout",
                                 "10min")
        self.destination = self.start("destination", "recv", "--guest", "pattern", "--run-on", "20ms")
        self.second = Socat(self.path("source"))
        self.addCleanup(self.second.close)
        self.source.do("qmp_capabilities")

    def path(self, name):
        return os.path.join(self.folder, name)

    def start(self, name, *argv):
        process = subprocess.Popen([FERRY, *argv, "--quiet", "--qmp", f"unix:{self.path(name)}"],
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        client = Socat(self.path(name))
        self.addCleanup(client.close)
        return client

    # What makes the status that a recorded question was asked in.

    def nobody_listens(self):
        self.refused = socket.socket()
        self.refused.bind(("127.0.0.1", 0))
        self.addCleanup(self.refused.close)
        self.option("connect-timeout", "200ms")
        return f"tcp:127.0.0.1:{self.refused.getsockname()[1]}"

    def option(self, name, value):
        self.source.do("x-ferry-set-option", name=name, value=value)

    def open_sink(self):
        self.sink = socket.socket(socket.AF_UNIX)
        self.sink.bind(self.path("sink"))
        self.sink.listen()
        self.addCleanup(self.sink.close)
        self.option("connect-timeout", "60s")
        self.option("peer", "ferry")  # which waits for an answer: setup

    def become_active(self):
        self.source.do("migrate_cancel")
        self.source.wait("cancelled")
        self.option("peer", "qemu")
        self.source.do("migrate", uri=f"unix:{self.path('sink')}")
        self.source.wait("active")

    def meet(self):
        port = self.destination.do("query-migrate")["socket-address"][0]["port"]
        self.option("peer", "auto")
        self.source.do("migrate-set-capabilities", capabilities=[{"capability": "pause-before-switchover",
                                                                  "state": True}])
        self.source.do("migrate-set-parameters", **{"max-bandwidth": 500000})  # for a minute and a half
        self.source.do("migrate", uri=f"tcp:127.0.0.1:{port}")
        self.source.wait("active")
        self.destination.wait("active")
        self.source.until("query-migrate", lambda told: told["ram"]["normal"] >= 256)

    def before(self, line):
        name, side = line["name"], line["side"]
        if name == "migrate to where nobody listens":
            return line["send"].replace(json.loads(line["send"])["arguments"]["uri"], self.nobody_listens())
        if name == "migrate":
            self.open_sink()
        elif name == "query-migrate, failed":
            self.source.wait("failed")
        elif name == "query-migrate, active" and side == "source":
            self.become_active()
        elif name == "query-migrate, cancelled":
            self.source.wait("cancelled")
        elif name == "query-migrate, nothing yet" and side == "destination":
            self.destination.do("qmp_capabilities")
            self.destination.do("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        elif name == "query-migrate, active, to a destination":
            self.meet()
        elif name == "query-migrate, pre-switchover":
            self.source.do("migrate-set-parameters", **{"max-bandwidth": 1 << 30})
            self.source.wait("pre-switchover")
        elif name == "query-migrate, completed":
            self.source.wait("completed")
            self.destination.wait("completed")
        elif name in ("query-dirty-rate, measured", "query-dirty-rate by bitmaps, measured"):
            self.source.until("query-dirty-rate", lambda told: told["status"] == "measured")
        return line["send"].replace("/run/ferry/sink", self.path("sink"))

    def client(self, line):
        if line["side"] == "destination":
            return self.destination
        return self.second if self.names.index(line["name"]) <= self.names.index("out of band and not") else self.source

    def play(self):
        lines = load(QEMUS[0])
        self.names = [line["name"] for line in lines]
        for line in lines:
            if line["name"] == "greeting":
                self.note(line["name"], "source", None, self.second.greeting)
            elif line["name"] in TOGETHER:
                self.play_together(lines, line)
            elif "send" in line:
                send = self.before(line)
                self.note(line["name"], line["side"], send, self.client(line).ask(send))
        for client in (self.source, self.destination):
            while not any(event.get("data", {}).get("status") == "completed" for event in client.events):
                client.events.append(client.receive())
        for side, client in (("source", self.source), ("destination", self.destination)):
            for event in client.events:
                name = " ".join(["event", event["event"], event.get("data", {}).get("status", "")]).strip()
                self.note(name, side, None, event)

    def play_together(self, lines, first):
        if first["name"] != TOGETHER[0]:
            return
        parts = [line for line in lines if line["name"] in TOGETHER]
        self.source.say(*[line["send"] for line in parts])
        for line in parts:
            self.note(line["name"], line["side"], line["send"], self.source.answer())

    def note(self, name, side, send, answer):
        line = {"name": name, "side": side, **({"send": send} if send else {}), "answer": answer}
        self.ours.append(json.loads(json.dumps(line).replace(self.folder, "/run/ferry")))

    def check(self, qemu, theirs, ours):
        name = theirs["name"]
        if "error" in theirs["answer"] and "error" in ours["answer"]:
            self.assertEqual(theirs["answer"]["error"]["class"], ours["answer"]["error"]["class"], name)
        told = theirs["answer"].get("return")
        if isinstance(told, dict) and "status" in told and "cancelling" not in name and "measuring" not in name:
            self.assertEqual(told["status"], ours["answer"]["return"]["status"], name)
        if name == "query-migrate, cancelling":  # how far it got is the clock's
            self.assertIn(ours["answer"]["return"]["status"], ("cancelling", "cancelled"))
            return
        wrong = compare(theirs["answer"], ours["answer"])
        if qemu != QEMUS[0]:  # what newer ones have besides, the newest has been compared with
            wrong = [sentence for sentence in wrong if "no such member" not in sentence]
        self.assertEqual(wrong, [], f"{qemu}, {name}: {json.dumps(ours['answer'])}")

    def test_shapes(self):
        self.play()
        if "FERRY_QMP_RECORD" in os.environ:
            with open(os.environ["FERRY_QMP_RECORD"], "w", encoding="utf-8") as f:
                f.writelines(json.dumps(line) + "\n" for line in self.ours)
        ours = {}
        for line in self.ours:
            ours.setdefault((line["side"], line["name"]), line)
        for qemu in QEMUS:
            compared = 0
            for theirs in load(qemu):
                if theirs["name"] in OTHERWISE:
                    continue
                with self.subTest(qemu=qemu, name=theirs["name"], side=theirs["side"]):
                    self.assertIn((theirs["side"], theirs["name"]), ours)
                    self.check(qemu, theirs, ours[theirs["side"], theirs["name"]])
                compared += 1
            self.assertGreater(compared, 80)


if __name__ == "__main__":
    for thing in ("userfaultfd",):
        if not probe.present(thing):
            print(f"SKIP: needs {thing}: not on this machine")
            sys.exit(77)
    if not shutil.which("socat"):
        print("SKIP: needs tools: socat")
        sys.exit(77)
    unittest.main(verbosity=2)
