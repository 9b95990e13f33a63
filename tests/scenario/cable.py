# SPDX-License-Identifier: BSD-3-Clause
# cable.py - the cable is pulled in the middle: suspect after a second, lost after ten, the guest goes on at the source
#
#      namespace of the source  10.77.0.1 -- veth ~ ~ veth -- 10.77.0.2  namespace of the destination
#
# The namespaces have no names: each belongs to a process that ends with this one, however that ends, and goes with it.
import subprocess
import sys
import time
import unittest

from ferry import FAILED, FERRY, Case, guest, missing

SOURCE, DESTINATION = "10.77.0.1", "10.77.0.2"
SLOW = ("--max-bandwidth", "2MiB/s")  # 64 MiB then take half a minute


def ip(pid, *argv):
    subprocess.run(["nsenter", "-t", str(pid), "-n", "ip", *argv], check=True, timeout=30)


class Cable(Case):
    def setUp(self):
        super().setUp()
        self.here, self.there = self.namespace(), self.namespace()
        ip(self.here, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(self.there))
        for pid, address in (self.here, SOURCE), (self.there, DESTINATION):
            ip(pid, "address", "add", address + "/24", "dev", "cable")
            ip(pid, "link", "set", "cable", "up")

    def namespace(self):
        """The pid of a process in a new network namespace."""
        keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.addCleanup(keeper.wait, 30)
        self.addCleanup(keeper.stdout.close)
        self.addCleanup(keeper.stdin.close)
        keeper.stdout.readline()
        return keeper.pid

    def inside(self, pid, *argv):
        return self.start("-t", str(pid), "-n", FERRY, *argv, program="nsenter")

    def moving(self, *settings, spec=guest(), speed=SLOW):
        """Both sides in the middle of it."""
        recv = self.inside(self.there, "recv", f"tcp:{DESTINATION}:0", "--guest", "pattern", "--run-on", "20ms",
                           "--insecure", *settings)
        address = recv.wait_event("listening")["address"]
        send = self.inside(self.here, "send", address, "--guest", spec, *speed, *settings)
        send.wait_event("figures", status="active")
        recv.wait_event("figures", status="active")
        return send, recv

    def pull(self, pid):
        ip(pid, "link", "set", "cable", "down")
        return time.monotonic()

    def assert_suspected(self, side, after_ms):
        """The status says so from the time on that was agreed, and never before."""
        silent = [event["peer"]["silent"] for event in side.seen
                  if event["event"] == "figures" and event.get("peer", {}).get("silent")]
        self.assertTrue(silent, "nobody was suspected")
        self.assertGreaterEqual(min(silent), after_ms)

    def assert_lost(self, side, lost_after):
        status, report = side.end()
        self.assertEqual((status, report["status"]), (FAILED, "failed"), side.words())
        self.assertEqual(report["error"]["code"], "peer-silent", report["error"])
        self.assertRegex(report["error"]["text"], r"the other side is lost: nothing was heard of it for \d+\.\d s")
        self.assertGreaterEqual(float(report["error"]["text"].split()[-2]), lost_after)
        return report

    def test_a_cable_pulled_at_the_destination_by_default(self):
        send, recv = self.moving()
        pulled = self.pull(self.there)
        for side in send, recv:
            report = self.assert_lost(side, 10)
            self.assertLess(time.monotonic() - pulled, 60)  # not the many minutes that TCP would take
            self.assert_suspected(side, 1000)
            self.assertIn(report["error"]["phase"], "active")
            if side is send:
                self.assert_guest_went_on(send, report)
            else:
                self.assertFalse(report["guest"]["runs-here"])

    def test_a_cable_pulled_at_the_source_with_other_times(self):
        send, recv = self.moving("--suspect-after", "500ms", "--lost-after", "3s")
        self.pull(self.here)
        status, report = send.end()
        self.assertEqual((status, report["status"]), (FAILED, "failed"), send.words())
        # With its cable this end loses its route, too, and the kernel may say so in the very moment in which we do.
        self.assertIn(report["error"]["code"], ("peer-silent", "unreachable"), report["error"])
        self.assert_suspected(send, 500)
        self.assert_guest_went_on(send, report)
        self.assert_lost(recv, 3)
        self.assert_suspected(recv, 500)

    def test_a_cable_that_is_back_in_time(self):
        """It was suspected, and that is over; the migration goes on as if nothing had been."""
        send, recv = self.moving("--suspect-after", "200ms", spec=guest(dirty="1MiB/s", more=""),
                                 speed=("--max-bandwidth", "24MiB/s"))
        self.pull(self.there)
        while not send.wait_event("figures")["peer"]["silent"]:
            pass
        ip(self.there, "link", "set", "cable", "up")
        while send.wait_event("figures")["peer"]["silent"]:
            pass
        self.assert_done(send)
        self.assert_verified(self.assert_done(recv))


if __name__ == "__main__":
    if missing("userfaultfd") or missing("root") or missing("netns"):
        sys.exit(77)
    unittest.main(verbosity=2)
