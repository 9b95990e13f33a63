# SPDX-License-Identifier: BSD-3-Clause
# qmp.py - a side that is told what to do by QMP: moved, steered and watched by ferry ctl and by plain sockets; clients
# that send garbage, stop in the middle or never read harm neither the migration nor each other
import json
import os
import shutil
import socket
import tempfile
import threading
import time

from ferry import DONE, FAILED, PATIENCE, UNCERTAIN, USAGE, Case, guest, main, missing, run

HOSTILE = 200


class Client:
    """A plain socket and nothing that is ours."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        self.socket.connect(path)
        self.lines = self.socket.makefile("r")
        self.events = []
        self.greeting = json.loads(self.lines.readline())

    def say(self, text):
        self.socket.sendall(text if isinstance(text, bytes) else text.encode())

    def hear(self):
        while "event" in (answer := json.loads(self.lines.readline())):
            self.events.append(answer)
        return answer

    def ask(self, name, /, **arguments):
        self.say(json.dumps({"execute": name, "arguments": arguments}))
        return self.hear()

    def do(self, name, /, **arguments):
        return self.ask(name, **arguments)["return"]

    def close(self):
        self.lines.close()
        self.socket.close()


def memory_bytes(process):
    with open(f"/proc/{process.pid}/status") as f:
        return next(int(line.split()[1]) << 10 for line in f if line.startswith("VmRSS"))


def is_sanitized(process):
    with open(f"/proc/{process.pid}/maps") as f:
        return any("libasan" in line or "libtsan" in line for line in f)


class Qmp(Case):
    def client(self, name):
        client = Client(self.path(name))
        self.addCleanup(client.close)
        client.do("qmp_capabilities")
        return client

    def deferred(self, spec=None, *argv, there="pattern"):
        source = self.start("send", "--guest", spec or guest(), "--qmp", f"unix:{self.path('s')}", *argv)
        destination = self.start("recv", "--guest", there, "--run-on", "20ms", "--qmp", f"unix:{self.path('d')}")
        source.wait_event("waiting")
        destination.wait_event("waiting")
        return source, destination

    def listen(self, there):
        there.do("migrate-incoming", channels=[{"channel-type": "main", "addr": {
            "transport": "socket", "type": "inet", "host": "127.0.0.1", "port": "0"}}])
        address = there.do("query-migrate")["socket-address"][0]
        return f"tcp:{address['host']}:{address['port']}"

    def wait_status(self, client, *statuses):
        deadline = time.monotonic() + PATIENCE
        while (about := client.do("query-migrate"))["status"] not in statuses:
            self.assertLess(time.monotonic(), deadline, about)
            time.sleep(0.02)
        return about

    def wait_told(self, client, status):
        """The event comes when the side has seen the end, which query-migrate may tell a little earlier."""
        deadline = time.monotonic() + PATIENCE
        while not any(event.get("data", {}).get("status") == status for event in client.events):
            self.assertLess(time.monotonic(), deadline, client.events)
            client.do("query-version")
            time.sleep(0.02)

    def ctl(self, name, *argv):
        status, out, err = run("ctl", f"unix:{self.path(name)}", *argv)
        self.assertEqual(status, DONE, err)
        return json.loads(out) if out else None

    def test_ctl_moves_a_guest(self):
        source, destination = self.deferred()
        self.ctl("d", "migrate-incoming", "uri=tcp:127.0.0.1:0")
        port = self.ctl("d", "query-migrate")["socket-address"][0]["port"]
        self.ctl("s", "migrate-set-capabilities", "events=on", "multifd=off")
        self.ctl("s", "migrate-set-parameters", "downtime-limit=100")
        self.assertEqual(self.ctl("s", "query-migrate-parameters")["downtime-limit"], 100)
        self.assertEqual(self.ctl("s", "query-status"), {"status": "running", "running": True})
        self.ctl("s", "migrate", f"uri=tcp:127.0.0.1:{port}")
        status, out, _ = run("ctl", f"unix:{self.path('s')}", "watch", "--every", "20ms")
        self.assertEqual(status, DONE)
        self.assertRegex(out, r"status +completed\n")
        self.assertEqual(self.ctl("s", "query-status"), {"status": "postmigrate", "running": False})
        status, _, err = run("ctl", f"unix:{self.path('s')}", "migrate", "uri=tcp:127.0.0.1:1")
        self.assertEqual(status, FAILED)
        self.assertIn("GenericError: the guest has left", err)
        self.assertIn("migrate", run("ctl", f"unix:{self.path('s')}")[1].splitlines())
        self.ctl("s", "quit")
        self.ctl("d", "quit")
        self.assert_done(source)
        self.assert_verified(self.assert_done(destination))

    def test_events_in_their_order(self):
        source, destination = self.deferred()
        here, there, other = self.client("s"), self.client("d"), self.client("s")
        for client in (here, there):
            client.do("migrate-set-capabilities", capabilities=[{"capability": "events", "state": True}])
        here.do("migrate", uri=self.listen(there))
        self.wait_status(here, "completed")
        self.wait_status(there, "completed")
        for client in (here, there, other):
            self.wait_told(client, "completed")
        for client in (here, other):
            told = [event["event"] if event["event"] != "MIGRATION" else event["data"]["status"]
                    for event in client.events if event["event"] != "MIGRATION_PASS"]
            self.assertEqual(told, ["setup", "active", "STOP", "device", "completed"])
        passes = [event["data"]["pass"] for event in here.events if event["event"] == "MIGRATION_PASS"]
        self.assertEqual(passes, list(range(1, here.do("query-migrate")["ram"]["dirty-sync-count"] + 1)))
        told = [event["event"] for event in there.events]
        self.assertEqual(told[:4], ["MIGRATION", "MIGRATION", "RESUME", "MIGRATION"])
        here.do("quit")
        there.do("quit")
        self.assert_done(source)
        self.assert_done(destination)

    def test_cancelled_and_tried_again(self):
        source, destination = self.deferred()
        here, there = self.client("s"), self.client("d")
        about = here.do("migrate", uri=f"unix:{self.path('nobody')}")
        self.assertEqual(about, {})
        self.assertIn("nobody", self.wait_status(here, "failed")["error-desc"])
        with socket.socket(socket.AF_UNIX) as sink:
            sink.bind(self.path("sink"))
            sink.listen()
            here.do("x-ferry-set-option", name="peer", value="qemu")
            here.do("migrate", uri=f"unix:{self.path('sink')}")
            self.wait_status(here, "active")
            self.assertEqual(here.ask("migrate", uri="tcp:127.0.0.1:1")["error"]["class"], "GenericError")
            error = here.ask("x-ferry-set-option", name="peer", value="auto")["error"]
            self.assertIn("cannot be changed while a migration runs", error["desc"])
            here.do("migrate-set-parameters", **{"max-bandwidth": 12345678})
            here.do("migrate_cancel")
            self.wait_status(here, "cancelled")
        self.assertEqual(here.do("query-migrate-parameters")["max-bandwidth"], 12345678)
        here.do("migrate-set-parameters", **{"max-bandwidth": 0})
        here.do("x-ferry-set-option", name="peer", value="auto")
        here.do("migrate", uri=self.listen(there))
        self.wait_status(here, "completed")
        self.wait_status(there, "completed")
        here.do("quit")
        there.do("quit")
        self.assert_done(source)
        self.assert_verified(self.assert_done(destination))

    def test_quit_ends_what_runs(self):
        source, destination = self.deferred(guest(dirty="100MiB/s"), "--max-bandwidth", "5MiB/s")
        here, there = self.client("s"), self.client("d")
        here.do("migrate", uri=self.listen(there))
        self.wait_status(here, "active")
        here.do("quit")
        status, report = source.end()
        self.assertEqual((status, report["status"]), (FAILED, "cancelled"))
        self.assertIn(self.wait_status(there, "failed", "cancelled")["status"], ("failed", "cancelled"))
        there.do("quit")
        self.assertEqual(destination.end()[0], FAILED)

    def pause(self, here, there):
        here.do("migrate-set-capabilities", capabilities=[
            {"capability": "pause-before-switchover", "state": True}, {"capability": "events", "state": True}])
        here.do("migrate", uri=self.listen(there))
        return self.wait_status(here, "pre-switchover")

    def test_a_pause_before_the_switch(self):
        self.assertIn("with --qmp a client can", run(
            "send", f"unix:{self.path('x')}", "--guest", guest(), "--pause-before-switchover", "on")[2])
        source, destination = self.deferred()
        here, there = self.client("s"), self.client("d")
        about = self.pause(here, there)
        self.assertIn("ram", about)
        self.assertIs(here.do("query-status")["running"], False)
        wrong = here.ask("migrate-continue", state="active")["error"]
        self.assertEqual(wrong["desc"], "Migration not in expected state: pre-switchover")
        self.assertEqual(here.do("migrate-continue", state="pre-switchover"), {})
        self.wait_status(here, "completed")
        self.wait_status(there, "completed")
        self.wait_told(here, "completed")
        told = [event["event"] if event["event"] != "MIGRATION" else event["data"]["status"]
                for event in here.events if event["event"] != "MIGRATION_PASS"]
        self.assertEqual(told, ["setup", "active", "STOP", "pre-switchover", "device", "completed"])
        here.do("quit")
        there.do("quit")
        self.assertGreater(self.assert_done(source)["downtime-parts"]["paused"], 0)
        self.assert_verified(self.assert_done(destination))

    def test_a_pause_is_cancelled(self):
        source, _ = self.deferred()
        here, there = self.client("s"), self.client("d")
        self.pause(here, there)
        here.do("migrate_cancel")
        self.wait_status(here, "cancelled")
        self.wait_told(here, "cancelled")
        self.assertIs(here.do("query-status")["running"], True)
        told = [event["event"] if event["event"] != "MIGRATION" else event["data"]["status"]
                for event in here.events if event["event"] != "MIGRATION_PASS"]
        self.assertEqual(told, ["setup", "active", "STOP", "pre-switchover", "cancelling", "RESUME", "cancelled"])
        here.do("quit")
        source.end()

    def ask_out_of_band(self, name, command, **arguments):
        client = Client(self.path(name))
        self.addCleanup(client.close)
        client.do("qmp_capabilities", enable=["oob"])
        client.say(json.dumps({"exec-oob": command, "arguments": arguments}))
        return client.hear()

    def test_a_postcopy_that_is_paused_goes_on(self):
        source, destination = self.deferred(guest(dirty="100MiB/s"))
        here, there = self.client("s"), self.client("d")
        never = "migrate-pause is currently only supported during postcopy-active or postcopy-recover state"
        self.assertEqual(here.ask("migrate-pause")["error"]["desc"], never)
        for client in here, there:
            client.do("migrate-set-capabilities", capabilities=[
                {"capability": "postcopy-ram", "state": True}, {"capability": "events", "state": True}])
        here.do("migrate-set-parameters", **{"max-postcopy-bandwidth": 1 << 20})
        here.do("migrate", uri=self.listen(there))
        here.do("migrate-start-postcopy")
        self.wait_status(here, "postcopy-active")
        self.wait_status(there, "postcopy-active")
        self.assertEqual(self.ask_out_of_band("s", "migrate-pause"), {"return": {}})
        self.wait_status(here, "postcopy-paused")
        self.wait_status(there, "postcopy-paused")
        self.assertIn("migration process in progress", here.ask("migrate", uri="tcp:127.0.0.1:1")["error"]["desc"])
        self.assertEqual(there.ask("migrate-pause")["error"]["desc"], never)
        self.assertEqual(here.do("migrate_cancel"), {})
        uri = "unix:" + self.path("again")
        self.assertEqual(here.ask("migrate-recover", uri=uri)["error"]["desc"],
                         "Migrate recover can only be run when postcopy is paused.")
        self.assertEqual(self.ask_out_of_band("d", "migrate-recover", uri=uri), {"return": {}})
        self.assertEqual(there.ask("migrate-recover", uri="unix:" + self.path("third"))["error"]["desc"],
                         "Migrate recovery is triggered already")
        self.assertEqual(here.do("migrate", uri=uri, resume=True), {})
        self.wait_status(here, "postcopy-active")
        self.wait_status(there, "postcopy-active")
        here.do("migrate-set-parameters", **{"max-postcopy-bandwidth": 0})
        self.wait_status(here, "completed")
        self.wait_status(there, "completed")
        for client, steps in (here, ["postcopy-recover-setup"]), (there, []):
            self.wait_told(client, "completed")
            told = [event["data"]["status"] for event in client.events if event["event"] == "MIGRATION"]
            self.assertEqual(told[told.index("postcopy-active"):],
                             ["postcopy-active", "postcopy-paused", *steps, "postcopy-recover", "postcopy-active",
                              "completed"])
        self.assertEqual(here.ask("migrate", uri=uri, resume=True)["error"]["desc"],
                         "Cannot resume if there is no paused migration")
        here.do("quit")
        there.do("quit")
        self.assert_done(source)
        received = self.assert_done(destination)
        self.assert_verified(received)
        self.assertEqual((received["postcopy"]["resumed"], received["postcopy"]["duplicates"]), (1, 0))

    def test_a_postcopy_that_stays_paused_ends_with_quit(self):
        options = os.environ.get("TSAN_OPTIONS", "") + " report_thread_leaks=0"
        destination = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--qmp", f"unix:{self.path('d')}",
                                 env={**os.environ, "TSAN_OPTIONS": options})
        source = self.send(destination.wait_event("listening")["address"], "--qmp", f"unix:{self.path('s')}",
                           "--postcopy", "now", "--max-postcopy-bandwidth", "1MiB/s")
        destination.wait_event("figures", status="postcopy-active")
        here, there = self.client("s"), self.client("d")
        self.assertEqual(there.do("migrate-pause"), {})
        self.wait_status(here, "postcopy-paused")
        source.signal()
        self.assertEqual(source.end()[0], UNCERTAIN)
        there.do("quit")
        status, report = destination.end()
        self.assertEqual((status, report["status"]), (UNCERTAIN, "postcopy-paused"))

    def test_a_migration_with_an_address_is_watched(self):
        destination, address = self.receive()
        source = self.send(address, "--qmp", f"unix:{self.path('s')}", "--max-bandwidth", "10MiB/s")
        source.wait_event("figures", status="active")
        here = self.client("s")
        self.assertIn("migration process in progress", here.ask("migrate", uri="tcp:127.0.0.1:1")["error"]["desc"])
        here.do("migrate-set-parameters", **{"max-bandwidth": 0})
        self.assert_done(source)
        self.assert_done(destination)
        self.assertFalse(os.path.exists(self.path("s")))

    def test_the_dirty_rate(self):
        source, _ = self.deferred(guest(size="64MiB", dirty="20MiB/s", more=""))
        here = self.client("s")
        rate = 0
        for _ in range(20):  # a guest that did not get to run wrote less, but hardly each time
            here.do("calc-dirty-rate", **{"calc-time": 500, "calc-time-unit": "millisecond", "sample-pages": 16384})
            while (about := here.do("query-dirty-rate"))["status"] != "measured":
                time.sleep(0.05)
            rate = about["dirty-rate"]
            if rate > 2:
                break
        self.assertGreater(rate, 2)
        self.assertLess(rate, 40)
        error = here.ask("calc-dirty-rate", **{"calc-time": 1, "mode": "dirty-ring"})["error"]
        self.assertEqual(error["desc"], "mode dirty-ring is not enabled, use other method instead.")

    def measured(self, here, mode):
        here.do("calc-dirty-rate", **{"calc-time": 300, "calc-time-unit": "millisecond", "mode": mode})
        while (about := here.do("query-dirty-rate"))["status"] != "measured":
            self.assertNotIn("ferry", about)
            time.sleep(0.05)
        self.assertEqual((about["mode"], about["sample-pages"]), (mode, 0))
        return about

    def test_the_dirty_rate_by_trackers(self):
        for kind, mode in ("pattern:", "dirty-bitmap"), ("kvm:", "dirty-bitmap"), ("kvm:dirty-log=ring,", "dirty-ring"):
            if kind.startswith("kvm") and missing("kvm"):
                continue
            with self.subTest(kind, mode=mode):
                self.folder = tempfile.mkdtemp(prefix="ferry-")
                self.addCleanup(shutil.rmtree, self.folder)
                source, _ = self.deferred(f"{kind}size=32MiB,dirty=20MiB/s,threads=2", there=kind.split(":")[0])
                here = self.client("s")
                other = "dirty-ring" if mode == "dirty-bitmap" else "dirty-bitmap"
                error = here.ask("calc-dirty-rate", **{"calc-time": 1, "mode": other})["error"]
                self.assertEqual(error["desc"], f"mode {other} is not enabled, use other method instead.")
                error = here.ask("calc-dirty-rate", **{"calc-time": 1, "mode": mode, "sample-pages": 512})["error"]
                self.assertEqual(error["desc"], "sample-pages is used only in page-sampling mode")
                about = self.measured(here, mode)
                for _ in range(20):  # a guest that did not get to run wrote less, but hardly each time
                    if 5 < about["dirty-rate"]:
                        break
                    about = self.measured(here, mode)
                self.assertTrue(5 < about["dirty-rate"] < 40, about)
                vcpus = about.get("vcpu-dirty-rate")
                if mode == "dirty-ring":
                    self.assertEqual([vcpu["id"] for vcpu in vcpus], [0, 1])
                    self.assertAlmostEqual(sum(vcpu["dirty-rate"] for vcpu in vcpus), about["dirty-rate"], delta=2)
                else:
                    self.assertIsNone(vcpus)
                self.measure_and_move(here)

    def measure_and_move(self, here):
        """A migration has the trackers: a measurement that has them gives way, and none begins beside it."""
        there = self.client("d")
        mode = here.do("query-dirty-rate")["mode"]
        here.do("calc-dirty-rate", **{"calc-time": 60, "mode": mode})
        here.do("migrate-set-parameters", **{"max-bandwidth": 1 << 20})
        here.do("migrate", uri=self.listen(there))
        self.wait_status(here, "active")
        self.assertEqual(here.do("query-dirty-rate")["status"], "unstarted")
        error = here.ask("calc-dirty-rate", **{"calc-time": 1, "mode": mode})["error"]
        self.assertIn("is not enabled", error["desc"])
        here.do("migrate-set-parameters", **{"max-bandwidth": 0})
        self.wait_status(here, "completed")
        self.wait_status(there, "completed")
        here.do("quit")
        there.do("quit")

    def test_who_may_listen(self):
        self.assertIn("unix:PATH or fd:N", run("send", *("--guest", guest()), "--qmp", "tcp:127.0.0.1:0")[2])
        self.assertEqual(run("recv", "--guest", "pattern", "--serve", "tcp:127.0.0.1:0", "--qmp",
                             f"unix:{self.path('d')}")[0], USAGE)
        source, _ = self.deferred()
        self.assertEqual(os.stat(self.path("s")).st_mode & 0o777, 0o600)
        there = self.client("d")
        error = there.ask("migrate-incoming", uri="tcp:0.0.0.0:0")["error"]
        self.assertIn("can be reached from other machines", error["desc"])
        self.listen(there)

    def test_a_descriptor_that_is_connected(self):
        ours, theirs = socket.socketpair()
        with ours, theirs:
            side = self.start("send", "--guest", guest(), "--qmp", f"fd:{theirs.fileno()}", pass_fds=[theirs.fileno()])
            theirs.close()
            ours.sendall(b'{"execute": "qmp_capabilities"}{"execute": "quit"}')
            self.assertIn(b'"QMP"', ours.recv(65536))
            self.assertEqual(side.end()[0], DONE)

    def harm(self, path, number, stop):
        """One of many who mean no good, each in its own way."""
        deadline = time.monotonic() + PATIENCE
        while not stop.is_set() and time.monotonic() < deadline:
            try:
                with socket.socket(socket.AF_UNIX) as client:
                    client.settimeout(0.5)
                    client.connect(path)
                    if number % 4 == 0:
                        client.sendall(os.urandom(20000))
                    elif number % 4 == 1:
                        client.sendall(b'{"execute": "qmp_capabilities"}{"execute": "query-mig')
                        stop.wait(0.5)
                    elif number % 4 == 2:
                        client.sendall(b'{"execute": "' + b"x" * (10 << 20) + b'"}')
                    else:  # asks and never listens
                        client.sendall(b'{"execute": "qmp_capabilities"}')
                        client.sendall(b'{"execute": "x-ferry-query-options"}\n' * 20000)
            except OSError:
                pass

    def test_hostile_clients(self):
        source, destination = self.deferred(guest(size="64MiB", dirty="2MiB/s"), "--max-bandwidth", "20MiB/s")
        here, there = self.client("s"), self.client("d")
        here.do("migrate", uri=self.listen(there))
        self.wait_status(here, "active")
        before = memory_bytes(source.process)
        stop, most, longest = threading.Event(), before, 0
        crowd = [threading.Thread(target=self.harm, args=(self.path("s"), i, stop)) for i in range(HOSTILE)]
        try:
            for thread in crowd:
                thread.start()
            while here.do("query-migrate")["status"] == "active":
                most = max(most, memory_bytes(source.process))
                time.sleep(0.05)
            self.wait_status(here, "completed")
        finally:
            stop.set()
            for thread in crowd:
                thread.join()
        most = max(most, memory_bytes(source.process))
        if is_sanitized(source.process):
            most = before  # which keep what was freed
        print(f"memory of the source: {before >> 10} KiB before, at most {most >> 10} KiB")
        self.assertLess(most - before, 48 << 20)
        here.do("quit")
        self.wait_status(there, "completed")
        there.do("quit")
        self.assert_done(source)
        self.assert_verified(self.assert_done(destination))


if __name__ == "__main__":
    main()
