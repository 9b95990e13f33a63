#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# qmp_record.py - what a real QEMU answers on its QMP socket, in every status of a migration, as lines of JSON
#
#     qmp_record.py QEMU FILE
#
# A line is {"name": what is asked and when, "side": of whom, "send": the bytes that went there, "answer": what came}; an
# event has no "send".  tests/interop/qmp_shape_test.py compares them with Ferry's answers, tools/qmp_page.py shows them.
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import time

PATIENCE = 30
MEMORY_MIB = 192


class Monitor:
    def __init__(self, path):
        deadline = time.monotonic() + PATIENCE
        self.text, self.events = b"", []
        self.socket = socket.socket(socket.AF_UNIX)
        while True:
            try:
                self.socket.connect(path)
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
        self.greeting = self.receive()

    def receive(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.text:
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                raise SystemExit("QEMU does not answer")
            more = self.socket.recv(65536)
            if not more:
                raise SystemExit("QEMU ended")
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return json.loads(line)

    def ask(self, text):
        self.socket.sendall(text.encode() + b"\n")
        while True:
            answer = self.receive()
            if "event" not in answer:
                return answer
            self.events.append(answer)

    def do(self, name, **arguments):
        return self.ask(json.dumps({"execute": name, "arguments": arguments} if arguments else {"execute": name}))


class Recorder:
    def __init__(self, binary, path):
        self.binary, self.folder = binary, tempfile.mkdtemp(prefix="ferry-qmp-")
        self.processes, self.lines = [], open(path, "w")

    def start(self, name, *more):
        path = os.path.join(self.folder, name)
        self.processes.append(subprocess.Popen(
            [self.binary, "-machine", "pc", "-accel", "kvm", "-accel", "tcg", "-m", str(MEMORY_MIB), "-nodefaults",
             "-display", "none", "-qmp", f"unix:{path},server=on,wait=off", "-qmp",
             f"unix:{path}-2,server=on,wait=off", *more], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        return Monitor(path)

    def note(self, name, side, send, answer):
        line = {"name": name, "side": side}
        if send is not None:
            line["send"] = send
        line["answer"] = answer
        self.lines.write(json.dumps(line).replace(self.folder, "/run/ferry") + "\n")

    def ask(self, monitor, side, name, send):
        send = send if isinstance(send, str) else json.dumps(send)
        answer = monitor.ask(send)
        self.note(name, side, send, answer)
        return answer

    def query(self, monitor, side, when):
        return self.ask(monitor, side, f"query-migrate, {when}", {"execute": "query-migrate"})

    def wait(self, monitor, *statuses):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            status = monitor.do("query-migrate")["return"].get("status")
            if status in statuses:
                return status
            time.sleep(0.01)
        raise SystemExit(f"never {statuses}: {status}")

    def wait_measured(self, monitor):
        deadline = time.monotonic() + PATIENCE
        while monitor.do("query-dirty-rate")["return"]["status"] != "measured" and time.monotonic() < deadline:
            time.sleep(0.1)

    def events_of(self, monitor, side):
        monitor.do("query-version")
        seen = set()
        for event in monitor.events:
            name = " ".join([event["event"], event.get("data", {}).get("status", "")]).strip()
            if event["event"] in ("MIGRATION", "MIGRATION_PASS", "STOP", "RESUME", "SHUTDOWN") and name not in seen:
                seen.add(name)
                self.note(f"event {name}", side, None, event)
        monitor.events = []

    def close(self):
        for process in self.processes:
            process.kill()
            process.wait()
        self.lines.close()
        shutil.rmtree(self.folder)


def record_protocol(rec, source):
    second = Monitor(os.path.join(rec.folder, "source-2"))
    rec.note("greeting", "source", None, second.greeting)
    rec.ask(second, "source", "before the negotiation", {"execute": "query-migrate"})
    rec.ask(second, "source", "an unknown capability of the protocol",
            {"execute": "qmp_capabilities", "arguments": {"enable": ["teleport"]}})
    rec.ask(second, "source", "negotiation with oob", {"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]},
                                                       "id": 1})
    rec.ask(second, "source", "negotiation twice", {"execute": "qmp_capabilities"})
    rec.ask(second, "source", "out of band, which this command cannot", {"exec-oob": "query-migrate", "id": "x"})
    rec.ask(second, "source", "migrate-recover out of band, nothing to recover",
            {"exec-oob": "migrate-recover", "arguments": {"uri": "tcp:127.0.0.1:1"}, "id": 7})
    rec.ask(second, "source", "migrate-pause out of band, nothing to pause", {"exec-oob": "migrate-pause", "id": 8})
    rec.ask(second, "source", "out of band and not", {"exec-oob": "migrate-pause", "execute": "migrate-pause"})
    for name, send in (("an id comes back", {"execute": "query-version", "id": {"a": [1, "x", None]}}),
                       ("no such command", {"execute": "teleport", "id": 3}),
                       ("no command", {"arguments": {}}), ("an unknown member", {"execute": "query-version", "x": 1}),
                       ("arguments that are no object", {"execute": "query-version", "arguments": 1}),
                       ("a list", "[1]"), ("a number", "17"), ("half an object, closed wrongly", '{"execute": ]'),
                       ("words", "hello"), ("a name twice", '{"execute": "query-version", "execute": "quit"}'),
                       ("an argument too many", {"execute": "query-version", "arguments": {"x": 1}}),
                       ("query-version", {"execute": "query-version"}), ("out of band, not negotiated",
                                                                         {"exec-oob": "migrate-pause"})):
        rec.ask(source, "source", name, send)


def record_settings(rec, source):
    def parameters(name, **arguments):
        rec.ask(source, "source", f"migrate-set-parameters, {name}",
                {"execute": "migrate-set-parameters", "arguments": arguments})

    def capability(name, what, state):
        rec.ask(source, "source", f"migrate-set-capabilities, {name}", {
            "execute": "migrate-set-capabilities",
            "arguments": {"capabilities": [{"capability": what, "state": state}]}})

    rec.ask(source, "source", "query-migrate-parameters", {"execute": "query-migrate-parameters"})
    rec.ask(source, "source", "query-migrate-capabilities", {"execute": "query-migrate-capabilities"})
    parameters("right ones", **{"max-bandwidth": 50000000, "downtime-limit": 250, "multifd-channels": 4})
    parameters("a word for a number", **{"max-bandwidth": "fast"})
    parameters("a fraction", **{"downtime-limit": 2.5})
    parameters("too much downtime", **{"downtime-limit": 9999999})
    parameters("less than nothing", **{"max-bandwidth": -1})
    parameters("no channel", **{"multifd-channels": 0})
    parameters("too many channels", **{"multifd-channels": 1000})
    parameters("an unknown compression", **{"multifd-compression": "teleport"})
    parameters("an unknown parameter", **{"teleport": 1})
    parameters("as before", **{"max-bandwidth": 134217728, "downtime-limit": 300})
    rec.ask(source, "source", "query-migrate-parameters, changed", {"execute": "query-migrate-parameters"})
    capability("events", "events", True)
    capability("an unknown one", "teleport", True)
    capability("a number for a switch", "events", 1)
    rec.ask(source, "source", "migrate-set-capabilities, nothing", {"execute": "migrate-set-capabilities"})
    capability("x-colo", "x-colo", False)


def record_idle(rec, source):
    rec.query(source, "source", "nothing yet")
    for name, send in (("migrate without an address", {"execute": "migrate"}),
                       ("migrate to nonsense", {"execute": "migrate", "arguments": {"uri": "gopher:x"}}),
                       ("migrate to a number", {"execute": "migrate", "arguments": {"uri": 7}}),
                       ("migrate by no channel", {"execute": "migrate", "arguments": {"channels": []}}),
                       ("migrate-incoming at a source",
                        {"execute": "migrate-incoming", "arguments": {"uri": "tcp:127.0.0.1:1"}}),
                       ("migrate_cancel of nothing", {"execute": "migrate_cancel"}),
                       ("migrate-continue of nothing",
                        {"execute": "migrate-continue", "arguments": {"state": "pre-switchover"}}),
                       ("migrate-start-postcopy of nothing", {"execute": "migrate-start-postcopy"}),
                       ("migrate-pause of nothing", {"execute": "migrate-pause"}),
                       ("migrate-recover of nothing",
                        {"execute": "migrate-recover", "arguments": {"uri": "tcp:127.0.0.1:1"}})):
        rec.ask(source, "source", name, send)


def record_dirty_rate(rec, source):
    rec.ask(source, "source", "query-dirty-rate, unstarted", {"execute": "query-dirty-rate"})
    rec.ask(source, "source", "calc-dirty-rate for too long",
            {"execute": "calc-dirty-rate", "arguments": {"calc-time": 1000}})
    rec.ask(source, "source", "calc-dirty-rate without a time", {"execute": "calc-dirty-rate"})
    rec.ask(source, "source", "calc-dirty-rate of too many pages",
            {"execute": "calc-dirty-rate", "arguments": {"calc-time": 1, "sample-pages": 1000000}})
    rec.ask(source, "source", "calc-dirty-rate", {"execute": "calc-dirty-rate", "arguments": {"calc-time": 1}})
    rec.ask(source, "source", "query-dirty-rate, measuring", {"execute": "query-dirty-rate"})
    rec.ask(source, "source", "calc-dirty-rate twice", {"execute": "calc-dirty-rate", "arguments": {"calc-time": 1}})
    rec.wait_measured(source)
    rec.ask(source, "source", "query-dirty-rate, measured", {"execute": "query-dirty-rate"})
    for name, arguments in (("by what is unknown", {"mode": "guesswork"}), ("by rings", {"mode": "dirty-ring"}),
                            ("by bitmaps", {"mode": "dirty-bitmap"})):
        rec.ask(source, "source", f"calc-dirty-rate {name}",
                {"execute": "calc-dirty-rate", "arguments": {"calc-time": 1, **arguments}})
    rec.wait_measured(source)
    rec.ask(source, "source", "query-dirty-rate by bitmaps, measured", {"execute": "query-dirty-rate"})


def record_failures(rec, source):
    """Nobody there; then a destination that is cancelled in the middle."""
    refused = socket.socket()
    refused.bind(("127.0.0.1", 0))
    uri = f"tcp:127.0.0.1:{refused.getsockname()[1]}"
    rec.ask(source, "source", "migrate to where nobody listens", {"execute": "migrate", "arguments": {"uri": uri}})
    rec.wait(source, "failed")
    rec.query(source, "source", "failed")
    refused.close()
    rec.events_of(source, "source")


def record_cancel(rec, source):
    sink = os.path.join(rec.folder, "sink")
    server = socket.socket(socket.AF_UNIX)
    server.bind(sink)
    server.listen()
    rec.ask(source, "source", "migrate", {"execute": "migrate", "arguments": {"uri": f"unix:{sink}"}})
    rec.query(source, "source", "setup")
    taken, _ = server.accept()
    taken.recv(1)
    rec.wait(source, "active")
    rec.query(source, "source", "active")
    rec.ask(source, "source", "migrate while one runs", {"execute": "migrate", "arguments": {"uri": f"unix:{sink}"}})
    rec.ask(source, "source", "migrate-set-capabilities while one runs", {
        "execute": "migrate-set-capabilities",
        "arguments": {"capabilities": [{"capability": "multifd", "state": True}]}})
    rec.ask(source, "source", "migrate_cancel", {"execute": "migrate_cancel"})
    rec.query(source, "source", "cancelling")
    taken.close()
    rec.wait(source, "cancelled")
    rec.query(source, "source", "cancelled")
    server.close()
    rec.events_of(source, "source")


def record_arrival(rec, source, destination):
    destination.do("qmp_capabilities")
    destination.do("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
    rec.query(destination, "destination", "nothing yet")
    rec.ask(destination, "destination", "migrate-incoming to nonsense",
            {"execute": "migrate-incoming", "arguments": {"uri": "gopher:x"}})
    rec.ask(destination, "destination", "migrate-incoming without an address", {"execute": "migrate-incoming"})
    rec.ask(destination, "destination", "migrate-incoming",
            {"execute": "migrate-incoming", "arguments": {"uri": "tcp:127.0.0.1:0"}})
    rec.query(destination, "destination", "setup")
    rec.ask(destination, "destination", "migrate-incoming twice",
            {"execute": "migrate-incoming", "arguments": {"uri": "tcp:127.0.0.1:0"}})
    port = destination.do("query-migrate")["return"]["socket-address"][0]["port"]
    source.do("migrate-set-capabilities", capabilities=[{"capability": "pause-before-switchover", "state": True}])
    source.do("migrate-set-parameters", **{"max-bandwidth": 4000000})
    source.do("migrate", uri=f"tcp:127.0.0.1:{port}")
    rec.wait(source, "active")
    rec.wait(destination, "active")
    rec.query(source, "source", "active, to a destination")
    rec.query(destination, "destination", "active")
    source.do("migrate-set-parameters", **{"max-bandwidth": 1 << 30})
    rec.wait(source, "pre-switchover")
    rec.query(source, "source", "pre-switchover")
    rec.ask(source, "source", "migrate-continue",
            {"execute": "migrate-continue", "arguments": {"state": "pre-switchover"}})
    rec.wait(source, "completed")
    rec.query(source, "source", "completed")
    rec.wait(destination, "completed")
    time.sleep(0.2)
    rec.query(destination, "destination", "completed")
    rec.events_of(source, "source")
    rec.events_of(destination, "destination")
    rec.ask(destination, "destination", "migrate-incoming after the end",
            {"execute": "migrate-incoming", "arguments": {"uri": "tcp:127.0.0.1:0"}})


def main():
    rec = Recorder(sys.argv[1], sys.argv[2])
    try:
        source = rec.start("source")
        destination = rec.start("destination", "-incoming", "defer")
        source.do("qmp_capabilities")
        record_protocol(rec, source)
        record_idle(rec, source)
        record_settings(rec, source)
        record_dirty_rate(rec, source)
        record_failures(rec, source)
        record_cancel(rec, source)
        record_arrival(rec, source, destination)
        rec.ask(source, "source", "quit", {"execute": "quit"})
        source.events = []
        try:
            while True:
                source.events.append(source.receive())
        except (SystemExit, OSError):
            pass
        for event in source.events:
            rec.note(f"event {event['event']}", "source", None, event)
    finally:
        rec.close()


if __name__ == "__main__":
    main()
