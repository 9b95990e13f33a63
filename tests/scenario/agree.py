# SPDX-License-Identifier: BSD-3-Clause
# agree.py - what does not fit is refused at once and whole; what fails at the destination fails at both ends alike
#
# $MISFIT is `ferry recv` with a machine that pattern guests cannot move into (misfit.c).
import os

from ferry import FAILED, SIZE, Case, main, size_bytes

MISFIT = os.environ["MISFIT"]
GAP_MS = 100  # within which the source's guest must go on
TRIES = 25    # a busy machine can keep any guest waiting for so long, but hardly each time


class Agree(Case):
    def refused(self, kind, spec):
        """A migration into a misfit; the reports of both ends."""
        recv = self.start("tcp:127.0.0.1:0", "--guest", kind, program=MISFIT)
        send = self.send(recv.wait_event("listening")["address"], spec=spec)
        ends = []
        for side in send, recv:
            status, report = side.end()
            self.assertEqual((status, report["status"]), (FAILED, "failed"), side.words())
            self.assertIn(report["error"]["text"], side.words())
            ends.append(report)
        self.assert_guest_went_on(send, ends[0])
        self.assert_same_error(*ends)
        return ends

    def assert_same_error(self, source, destination):
        """But for who has it from whom."""
        told = dict(source["error"])
        self.assertIs(told.pop("from-peer"), True)
        self.assertEqual(told, destination["error"])
        self.assertEqual(told["side"], "destination")

    def test_all_that_does_not_fit_is_said_at_once_and_before_the_first_page(self):
        source, destination = self.refused("shape", "pattern:size=64MiB,untouched=16MiB,vfio=1MiB,dirty=20MiB/s")
        self.assertEqual(source["error"]["code"], "refused")
        self.assertEqual(source["error"]["phase"], "setup")
        reasons = source["error"]["text"].removeprefix("the destination cannot take this guest: ").split("; ")
        self.assertCountEqual(reasons, [
            "block 'pattern.ram': backed with pages of 4096 bytes at the source, of 2097152 here",
            "block 'pattern.untouched': 16777216 bytes at the source, missing here",
            "block 'vfio.dma': 1048576 bytes at the source, 524288 here",
            "device 'pattern' 0: version 1 at the source, which is too new: 0 to 0 can be loaded here",
            "device 'vfio-sim/pci' 0: not known here",
            "device 'vfio-sim' 0: 'queues' is not set at the source, '3' here",
        ])
        for report in source, destination:
            self.assertEqual((report["ram"]["normal"], report["ram"]["duplicate"]), (0, 0))
            self.assertLess(report["ram"]["transferred"], 16384)  # the manifest, with all fields of all devices

    def test_a_device_that_refuses_its_state_leaves_the_guest_running(self):
        gaps = []
        while not gaps or gaps[-1] >= GAP_MS and len(gaps) < TRIES:
            source, destination = self.refused("load", f"pattern:size={SIZE},dirty=20MiB/s")
            self.assertIn("the device is in no mood for it", source["error"]["text"])
            self.assertEqual(source["error"]["object"], "pattern")
            self.assertGreaterEqual(destination["ram"]["normal"], size_bytes() // 4096)
            gaps.append(source["guest"]["largest-gap"])
        self.assertLess(gaps[-1], GAP_MS)


if __name__ == "__main__":
    main()
