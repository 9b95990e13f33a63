# SPDX-License-Identifier: BSD-3-Clause
# report.py - the report of both sides: names, units and types, in JSON and in words
import json

from ferry import DONE, SIZE, Case, main, size_bytes

NUMBERS = (int, float)
RAM = {"transferred": int, "remaining": int, "total": int, "duplicate": int, "normal": int, "normal-bytes": int,
       "dirty-sync-count": int, "dirty-pages-rate": int, "mbps": NUMBERS, "pages-per-second": int, "page-size": int}
BOTH = {"version": str, "side": str, "status": str, "total-time": int, "total-time-us": int, "cpu": NUMBERS,
        "ram": dict, "channels": list, "guest": dict, "device-bytes": int}
SOURCE = {"setup-time": int, "downtime": int, "downtime-us": int, "expected-downtime": int, "tracker": str,
          "verdict": str}
DESTINATION = {"guest-blackout": NUMBERS, "verify": dict}


class Report(Case):
    def typed(self, report, fields):
        for name, kind in fields.items():
            self.assertIn(name, report)
            self.assertIsInstance(report[name], kind, name)

    def test_both_sides(self):
        files = self.path("recv.json"), self.path("send.json")
        recv, address = self.receive("tcp:127.0.0.1:0", "--json", files[0])
        send = self.send(address, "--json=" + files[1])
        self.assert_done(send)
        self.assert_done(recv)
        reports = []
        for name in files:
            with open(name) as f:
                reports.append(json.load(f))
        received, sent = reports
        for report in reports:
            self.typed(report, BOTH)
            self.typed(report["ram"], RAM)
            self.assertEqual(report["ram"]["page-size"], 4096)
            self.assertEqual(report["ram"]["normal-bytes"], report["ram"]["normal"] * 4096)
            self.assertGreaterEqual(report["ram"]["total"], size_bytes(SIZE))
            self.assertAlmostEqual(report["total-time"], report["total-time-us"] / 1000, delta=1)
            self.assertEqual(sum(channel["bytes"] for channel in report["channels"]), report["ram"]["transferred"])
            self.assertNotIn("error", report)
            self.assertNotIn("event", report)
        self.typed(sent, SOURCE)
        self.typed(received, DESTINATION)
        self.assertEqual((sent["side"], received["side"]), ("source", "destination"))
        self.assertEqual(sent["channels"][0]["address"], address)
        self.assertFalse(sent["guest"]["runs-here"])
        self.assertNotIn("downtime", received)
        self.assertLessEqual(sent["downtime"], sent["total-time"])

    def test_json_on_stdout_and_nothing_else(self):
        recv, address = self.receive("tcp:127.0.0.1:0", "--json", "-")
        send = self.send(address, "--json", "-")
        for side in (send, recv):
            self.assert_done(side)
            report = json.loads(side.words(side.stdout))
            self.assertEqual(report["status"], "completed")

    def test_words_begin_with_the_result(self):
        recv, address = self.receive()
        send = self.send(address)
        self.assert_done(send)
        self.assert_done(recv)
        sent, received = send.words(send.stdout).splitlines(), recv.words(recv.stdout).splitlines()
        self.assertEqual(sent[0], "sent to " + address)
        self.assertRegex(received[0], r"^received from tcp:127\.0\.0\.1:\d+, verified, and run on for 20")
        self.assertTrue(any(line.startswith("  downtime ") for line in sent))
        self.assertTrue(any(line.startswith("  blackout ") for line in received))
        self.assertTrue(any("0 mismatched, 0 lost writes" in line for line in received))
        self.assertLessEqual(max(map(len, sent + received)), 100)

    def test_quiet(self):
        recv, address = self.receive("tcp:127.0.0.1:0", "--quiet")
        send = self.send(address, "--quiet")
        for side in (send, recv):
            self.assert_done(side)
            self.assertEqual((side.words(side.stdout), side.words()), ("", ""))

    def test_the_story(self):
        recv, address = self.receive("tcp:127.0.0.1:0", "--verbose")
        send = self.send(address, "--log", "debug")
        for side in (send, recv):
            self.assertEqual(side.end()[0], DONE)
            self.assertIn("ferry: session: ", side.words())


if __name__ == "__main__":
    main()
