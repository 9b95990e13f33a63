# SPDX-License-Identifier: BSD-3-Clause
# lease.py - an end that leaves something to decide: the guest is kept, and goes on where the journals say, or is let go
import os
import signal

from ferry import DONE, FAILED, UNCERTAIN, Case, main, run

SPEC = "pattern:size=1MiB,dirty=1MiB/s"


class Lease(Case):
    def setUp(self):
        super().setUp()
        self.here, self.there = self.path("a.journal"), self.path("b.journal")
        self.copy = self.path("copy")

    def begin(self, stop, source=(), destination=()):
        """A migration whose source or destination stops at a step."""
        def environment(side):
            at = stop.get(side)
            return {**os.environ, "FERRY_STOP_AT": at} if at else None
        there, address = self.receive("unix:" + self.path("s"), "--journal", self.there, *destination,
                                      env=environment("destination"))
        here = self.send(address, "--journal", self.here, *source, spec=SPEC, env=environment("source"))
        for name, side in (("source", here), ("destination", there)):
            if name in stop:
                os.waitid(os.P_PID, side.process.pid, os.WSTOPPED)
        return here, there

    def kill(self, side):
        side.process.kill()
        side.process.wait()

    def show(self, journal):
        """A copy appears all at once."""
        with open(journal, "rb") as f, open(self.path("new"), "wb") as to:
            to.write(f.read())
        os.rename(self.path("new"), self.copy)

    def test_an_undecided_destination_starts_the_guest_by_the_sources_journal(self):
        here, there = self.begin({"source": "committed"},
                                 destination=("--lease", "60s", "--other-journal", self.copy))
        self.kill(here)
        there.wait_event("kept")
        self.show(self.here)
        report = self.assert_done(there)
        self.assert_verified(report, "1MiB")

    def test_an_undecided_destination_gives_up_by_the_sources_journal(self):
        here, there = self.begin({"source": "note-committed", "destination": "ready-sent"},
                                 destination=("--lease", "60s", "--other-journal", self.copy))
        self.kill(here)
        there.signal(signal.SIGCONT)
        there.wait_event("kept")
        self.show(self.here)
        status, report = there.end()
        self.assertEqual((status, report["status"]), (FAILED, "failed"))
        self.assertIn("destination: aborted", run("recover", "--destination-journal", self.there)[1])

    def test_the_guest_of_an_uncertain_source_goes_on_when_the_destination_gave_up(self):
        here, there = self.begin({"source": "committed", "destination": "ready-sent"},
                                 source=("--lease", "60s", "--other-journal", self.copy))
        self.kill(there)
        here.signal(signal.SIGCONT)
        here.wait_event("kept")
        status, out, _ = run("recover", "--settle", "destination", "--destination-journal", self.there, "--give-up")
        self.assertEqual(status, DONE, out)
        self.show(self.there)
        status, report = here.end()
        self.assertEqual((status, report["status"]), (FAILED, "failed"))
        self.assert_guest_went_on(here, report)
        self.assertIn("source: aborted", run("recover", "--source-journal", self.here)[1])

    def test_a_journal_that_does_not_tell_decides_nothing_and_a_signal_lets_go(self):
        here, there = self.begin({"source": "committed", "destination": "ready-sent"},
                                 source=("--lease", "60s", "--other-journal", self.copy))
        self.kill(there)
        self.show(self.there)
        here.signal(signal.SIGCONT)
        here.wait_event("kept")
        here.signal(signal.SIGTERM)
        status, report = here.end()
        self.assertEqual((status, report["status"]), (UNCERTAIN, "uncertain"))
        self.assertIs(report["guest"]["runs-here"], False)
        self.assertIn("source: committed", run("recover", "--source-journal", self.here)[1])

    def test_a_lease_ends(self):
        here, there = self.begin({"source": "committed", "destination": "ready-sent"}, source=("--lease", "1ms"))
        self.kill(there)
        here.signal(signal.SIGCONT)
        here.wait_event("kept")
        self.assertEqual(here.end()[0], UNCERTAIN)

    def test_a_demo_has_a_journal_for_each_side(self):
        status, _, err = run("demo", "--guest", SPEC, "--run-on", "1ms", "--journal", self.path("demo"))
        self.assertEqual(status, DONE, err)
        _, out, _ = run("recover", "--source-journal", self.path("demo.source"),
                        "--destination-journal", self.path("demo.destination"))
        self.assertIn("\nsource: done", out)
        self.assertIn("\ndestination: running", out)


if __name__ == "__main__":
    main()
