# SPDX-License-Identifier: BSD-3-Clause
# metrics.py - --metrics answers with what Prometheus reads: names, units, types, and counters that only grow
import http.client
import os
import re
import signal
import socket
import threading

from ferry import DONE, USAGE, Case, main, run, size_bytes

SMALL = "pattern:size=8MiB,dirty=1MiB/s"
NAME = r"ferry_[a-z][a-z0-9_]*"
SAMPLE = re.compile(rf'({NAME})\{{((?:[a-z_]+="(?:[^"\\\n]|\\.)*",?)*)\}} (-?[0-9.]+(?:e[+-]?[0-9]+)?)')
UNITS = ("_bytes", "_seconds", "_bytes_per_second", "_total", "_info", "_phase")


def parse(case, text):
    """The samples by name and labels, after a check of every line."""
    kinds, helped, samples = {}, set(), {}
    case.assertTrue(text.endswith("\n"))
    for line in text.splitlines():
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            case.assertRegex(words, r"^[A-Z1].*\.$")
            case.assertNotIn(name, helped)
            helped.add(name)
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            case.assertIn(kind, ("counter", "gauge"))
            case.assertIn(name, helped)
            case.assertEqual(kind == "counter", name.endswith("_total"), name)
            case.assertTrue(name.endswith(UNITS), name)
            kinds[name] = kind
            last = name
        else:
            match = SAMPLE.fullmatch(line)
            case.assertTrue(match, line)
            case.assertEqual(match.group(1), last, "samples of a family stand together")
            key = (match.group(1), match.group(2))
            case.assertNotIn(key, samples)
            samples[key] = float(match.group(3))
    case.assertEqual(set(kinds), helped)
    return samples, kinds


class Metrics(Case):
    def ask(self, address, path="/metrics", method="GET"):
        host, port = address.split(":")[1:]
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        self.addCleanup(connection.close)
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()

    def scrape(self, address):
        status, headers, text = self.ask(address)
        self.assertEqual(status, 200)
        self.assertEqual(headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        return parse(self, text)

    def value(self, samples, name, side="destination", **labels):
        key = ",".join(f'{k}="{v}"' for k, v in {"side": side, **labels}.items())
        return samples[("ferry_" + name, key)]

    def serve(self):
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--run-on", "20ms", "--serve",
                          "--metrics", "tcp:127.0.0.1:0")
        return recv, recv.wait_event("metrics")["address"], recv.wait_event("listening")["address"]

    def test_a_destination_counts_over_many(self):
        recv, metrics, address = self.serve()
        before, _ = self.scrape(metrics)
        self.assertEqual(self.value(before, "migrations_total", result="completed"), 0)
        pages = 0
        for count in (1, 2):
            self.assert_done(self.send(address, spec=SMALL))
            report = recv.wait_event("report")
            recv.wait_event("next")
            samples, kinds = self.scrape(metrics)
            self.assertEqual(self.value(samples, "migrations_total", result="completed"), count)
            pages += report["ram"]["normal"]
            self.assertEqual(self.value(samples, "migration_pages_total", kind="normal"), pages)
            self.assertAlmostEqual(self.value(samples, "migration_blackout_seconds"), report["guest-blackout"] / 1000,
                                   places=5)
            for (name, labels), number in before.items():
                if kinds[name] == "counter":
                    self.assertGreaterEqual(samples[(name, labels)], number, name)
            before = samples
        self.assertEqual(self.value(samples, "migration_ram_bytes"), size_bytes("8MiB"))
        recv.signal(signal.SIGTERM)
        self.assertEqual(recv.end()[0], DONE)

    def test_a_source_while_it_sends(self):
        recv, address = self.receive()
        qmp = "unix:" + self.path("qmp")
        send = self.send(address, "--max-bandwidth", "128KiB/s", "--metrics", "tcp:127.0.0.1:0", "--qmp", qmp, spec=SMALL)
        metrics = send.wait_event("metrics")["address"]
        send.wait_event("figures", status="active")
        first, kinds = self.scrape(metrics)
        self.assertEqual(self.value(first, "migration_phase", "source", phase="active"), 1)
        seen = send.wait_event("figures", status="active")["ram"]["transferred"]
        while send.wait_event("figures", status="active")["ram"]["transferred"] < seen + 65536:
            pass
        second, _ = self.scrape(metrics)
        self.assertGreater(self.value(second, "migration_bytes_total", "source"),
                           self.value(first, "migration_bytes_total", "source"))
        self.assertEqual(run("ctl", qmp, "migrate-set-parameters", "max-bandwidth=0")[0], DONE)
        self.assert_done(send)
        self.assert_done(recv)

    def test_what_crossed_is_told_while_the_guest_is_judged(self):
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--run-on", "20s", "--metrics",
                          "tcp:127.0.0.1:0")
        metrics, address = recv.wait_event("metrics")["address"], recv.wait_event("listening")["address"]
        sent = self.assert_done(self.send(address, spec=SMALL))
        samples, _ = self.scrape(metrics)
        while ("ferry_migration_phase", 'side="destination",phase="completed"') not in samples:
            samples, _ = self.scrape(metrics)
        self.assertEqual(self.value(samples, "migrations_total", result="completed"), 0)
        self.assertGreaterEqual(self.value(samples, "migration_pages_total", kind="normal"), sent["ram"]["normal"])
        self.assertGreater(self.value(samples, "migration_bytes_total"), sent["ram"]["normal"] * 4096)

    def test_failures_are_counted(self):
        recv, metrics, address = self.serve()
        host, port = address.split(":")[1:]
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(b"QEVM\0\0\0\3" + b"\xff" * 4096)
            recv.wait_event("next")
        samples, _ = self.scrape(metrics)
        self.assertEqual(self.value(samples, "migrations_total", result="failed"), 1)
        self.assertEqual(self.value(samples, "migrations_total", result="completed"), 0)

    def test_other_questions(self):
        _, metrics, _ = self.serve()
        self.assertEqual(self.ask(metrics, "/")[0], 404)
        self.assertEqual(self.ask(metrics, "/metrics", "POST")[0], 405)
        status, headers, text = self.ask(metrics, "/metrics", "HEAD")
        self.assertEqual((status, text), (200, ""))
        self.assertGreater(int(headers["Content-Length"]), 1000)

    def test_who_trickles_keeps_nobody_out(self):
        _, metrics, _ = self.serve()
        host, port = metrics.split(":")[1:]
        crowd, stop = [], threading.Event()

        def trickle():
            while not stop.wait(0.2):
                for peer in crowd:
                    try:
                        peer.sendall(b"x")
                    except OSError:
                        pass  # given up

        for _ in range(40):
            crowd.append(socket.create_connection((host, int(port))))
            self.addCleanup(crowd[-1].close)
            crowd[-1].sendall(b"GET /metrics HTTP/1.1\r\nX: ")
        trickler = threading.Thread(target=trickle)
        trickler.start()
        try:
            self.scrape(metrics)
        finally:
            stop.set()
            trickler.join()

    def test_rude_clients_harm_nobody(self):
        recv, metrics, address = self.serve()
        host, port = metrics.split(":")[1:]
        for words in (b"", b"\0\xff" * 500, b"GET /met", b"GET / HTTP/9.9\r\n\r\n", b"A" * 200000,
                      b"GET /metrics HTTP/1.1\r\n" + b"X: y\r\n" * 50000, b"POST /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n"):
            with socket.create_connection((host, int(port))) as peer:
                try:
                    peer.sendall(words)
                except OSError:
                    pass  # hung up on
        self.assert_done(self.send(address, spec=SMALL))
        samples, _ = self.scrape(metrics)
        self.assertIn(("ferry_build_info", f'side="destination",version="{recv.wait_event("report")["version"]}"'), samples)

    def test_a_unix_socket(self):
        path = self.path("metrics")
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--metrics", "unix:" + path)
        recv.wait_event("listening")
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
            client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = client.makefile("rb").read().decode()
        self.assertIn("ferry_build_info", text)
        recv.signal()
        recv.end()
        self.assertFalse(os.path.exists(path))

    def test_only_who_is_asked_for_it_is_open(self):
        status, _, err = run("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--metrics", "tcp:0.0.0.0:0")
        self.assertEqual(status, USAGE)
        self.assertIn("--metrics: tcp:0.0.0.0:", err)
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--insecure", "--metrics", "tcp:0.0.0.0:0")
        self.assertIn("tcp:0.0.0.0:", recv.wait_event("metrics")["address"])
        recv.signal()
        for uri in ("exec:true", "nonsense"):
            status, _, err = run("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--metrics", uri)
            self.assertEqual(status, USAGE)
            self.assertIn("--metrics", err)


if __name__ == "__main__":
    main()
