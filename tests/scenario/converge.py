#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# converge.py - a guest that outruns its channel: verdict, ladder, hot pages; and what a plan says before
import json
import unittest  # noqa: F401

from ferry import DONE, FAILED, USAGE, Case, main, run

OUTRUN = "pattern:size=32MiB,dirty=unlimited"  # some hundred times as fast as ...
NARROW = ("--max-bandwidth", "20MiB/s")


class Converge(Case):
    def give_up(self, *options):
        recv, address = self.receive()
        send = self.send(address, *NARROW, *options, spec=OUTRUN)
        status, report = send.end()
        self.assertEqual(status, FAILED, send.words())
        self.assertEqual(report["error"]["code"], "cannot-converge")
        self.assert_guest_went_on(send, report)
        status, there = recv.end()
        self.assertEqual(status, FAILED)
        self.assertFalse(there["guest"]["runs-here"])
        return report

    def test_the_verdict_comes_within_two_rounds_with_numbers(self):
        report = self.give_up("--escalate", "give-up")
        self.assertEqual(report["verdict"], "cannot-converge")
        step, = report["escalation"]
        self.assertEqual((step["what"], step["outcome"]), ("give-up", "open"))
        self.assertLessEqual(step["round"], 2)
        self.assertGreater(report["needed-bytes-per-second"], step["before"]["bytes-per-second"])
        self.assertLess(report["bearable-dirty-bytes-per-second"], step["before"]["bytes-per-second"])

    def test_the_ladder_is_climbed_in_its_order(self):
        report = self.give_up("--escalate", "compress,channels,postcopy,throttle,give-up", "--channels", "0",
                              "--max-cpu-throttle", "25")
        steps = [(step["what"], step["outcome"]) for step in report["escalation"]]
        self.assertEqual([name for name, _ in steps[:4]], ["compress", "channels", "postcopy", "throttle"])
        self.assertEqual([outcome for _, outcome in steps[:3]], ["impossible"] * 3)  # no page channels, no postcopy
        self.assertTrue(all(step["note"] for step in report["escalation"][:3]))
        self.assertEqual(steps[-1][0], "give-up")
        # Four fifths of far too much are too much: nothing that was tried is left.
        self.assertGreater(report["throttled-time"], 0)
        self.assertEqual(report["cpu-throttle-percentage"], 0)
        for step in report["escalation"]:
            if step["outcome"] in ("kept", "undone"):
                self.assertIn("after", step)

    def test_throttling_brings_a_guest_home(self):
        for option in (("--escalate", "throttle", "--cpu-throttle-initial", "40"), ("--auto-converge", "on"),
                       ("--dirty-limit", "on", "--vcpu-dirty-limit", "10MiB/s")):
            recv, address = self.receive()
            send = self.send(address, *NARROW, *option, "--downtime-limit", "400ms",
                             spec="pattern:size=24MiB,dirty=35MiB/s")
            report = self.assert_done(send)
            self.assert_verified(self.assert_done(recv), "24MiB")
            for step in report.get("escalation", []):
                self.assertEqual(step["what"], "throttle")
                if step["outcome"] == "kept":
                    self.assertLess(step["after"]["dirty-bytes-per-second"], step["before"]["dirty-bytes-per-second"])

    def test_words_that_are_no_steps_are_refused(self):
        for words in ("throttle,jump", "throttle,throttle", ","):
            status, _, err = run("send", "tcp:127.0.0.1:1", "--guest", OUTRUN, "--escalate", words)
            self.assertEqual(status, USAGE, words)
            self.assertIn("escalate", err)

    def test_hot_pages_wait_and_none_is_lost(self):
        for how in ("last", "as-found"):
            recv, address = self.receive()
            send = self.send(address, "--max-bandwidth", "40MiB/s", "--hot-pages", how, "--downtime-limit", "300ms",
                             spec="pattern:size=64MiB,dirty=50MiB/s,hot=5%,hot-share=90%")
            report = self.assert_done(send)
            self.assert_verified(self.assert_done(recv))
            if how == "last":
                self.assertGreater(report["hot-pages"]["saved-bytes"], 0)
                self.assertEqual(report["hot-pages"]["held-bytes"], 0)
            else:
                self.assertNotIn("hot-pages", report)


class Plan(Case):
    def plan(self, *argv):
        path = self.path("plan.json")
        status, _, err = run("plan", *argv, "--json", path)
        self.assertIn(status, (DONE, FAILED), err)
        with open(path, encoding="utf-8") as f:
            plan = json.load(f)
        self.assertEqual(plan["plan"], "go" if status == DONE else "no")
        for name in ("total-time", "blackout", "transferred", "rounds", "cpu"):
            self.assertLessEqual(plan[name]["least"], plan[name]["likely"])
            self.assertLessEqual(plan[name]["likely"], plan[name]["most"])
        return plan

    def test_a_plan_uses_up_nothing(self):
        recv, address = self.receive()
        for mode in ("dirty-bitmap", "page-sampling"):
            plan = self.plan(address, "--guest", "pattern:size=64MiB,dirty=20MiB/s", "--for", "300ms", "--mode", mode)
            self.assertEqual(plan["plan"], "go")
            self.assertEqual(plan["measured"]["ram-bytes"], 64 << 20)
            self.assertGreater(plan["measured"]["round-trip"], 0)
        self.assert_done(self.send(address))
        self.assert_verified(self.assert_done(recv))

    def test_a_plan_says_no_to_a_guest_that_outruns_its_channel(self):
        _, address = self.receive()
        plan = self.plan(address, "--guest", OUTRUN, *NARROW, "--for", "300ms")
        self.assertEqual(plan["plan"], "no")
        self.assertGreater(plan["needed-bytes-per-second"], plan["bytes-per-second"])

    def test_words_alone(self):
        words = ("--simulate", "link=100Gbit/s,rtt=200us", "guest=12TiB,dirty=5GiB/s", "channels=16")
        plan = self.plan(*words)
        self.assertEqual(plan["plan"], "go")
        self.assertAlmostEqual(plan["total-time"]["likely"] / 1000, 12 * 2**40 / (12.5e9 - 5 * 2**30), delta=250)
        self.assertEqual(self.plan("--simulate", "link=1Gbit/s", "guest=16GiB,dirty=180MiB/s")["plan"], "no")
        for bad in (("link=1Gbit/s",), ("link=1Gbit/s", "guest=huge"), ("lnk=1Gbit/s",)):
            self.assertEqual(run("plan", "--simulate", *bad)[0], USAGE, bad)
        self.assertEqual(run("plan")[0], USAGE)


if __name__ == "__main__":
    main()
