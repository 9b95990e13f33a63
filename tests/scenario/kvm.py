# SPDX-License-Identifier: BSD-3-Clause
# kvm.py - a virtual machine of /dev/kvm moves, by every kind of dirty log; without KVM it is said what to do
import json
import os
import subprocess
import unittest

from ferry import DONE, FAILED, FERRY, PATIENCE, USAGE, Case, main, missing, run

TRACKERS = {"bitmap": "kvm-log", "ring": "kvm-ring", "uffd": "uffd-"}


class Kvm(Case):
    def test_moves_by_every_dirty_log(self):
        for log, tracker in TRACKERS.items():
            with self.subTest(log):
                spec = f"kvm:size=32MiB,dirty=20MiB/s,threads=2,zero=25%,dirty-log={log}"
                status, out, err = run("demo", "--guest", spec, "--run-on", "50ms", "--json", "-")
                self.assertEqual(status, DONE, err)
                report = json.loads(out)
                self.assertEqual(report["status"], "completed")
                self.assertEqual((report["verify"]["mismatched"], report["verify"]["lost-writes"]), (0, 0))
                self.assertEqual(report["verify"]["pages"], (32 << 20) // 4096)
                self.assertTrue(report["source"]["tracker"].startswith(tracker), report["source"]["tracker"])
                self.assertGreater(report["guest-blackout"], 0)

    def test_the_guest_goes_on_after_a_cancel(self):
        recv = self.start("recv", "tcp:127.0.0.1:0", "--guest", "kvm")
        address = recv.wait_event("listening")["address"]
        send = self.send(address, "--max-bandwidth", "4MiB/s", spec="kvm:size=64MiB,dirty=20MiB/s,threads=2")
        send.wait_event("figures", status="active")
        send.signal()
        status, report = send.end()
        self.assertEqual(status, FAILED)
        self.assert_guest_went_on(send, report)
        self.assertEqual(recv.end()[0], FAILED)

    def test_two_kinds_do_not_match(self):
        recv, address = self.receive()
        send = self.send(address, spec="kvm:size=8MiB")
        for side in (send, recv):
            status, report = side.end()
            self.assertEqual(status, FAILED)
            self.assertIn("ferry-kvm", report["error"]["text"])

    def test_what_a_kvm_guest_has_not_is_refused(self):
        for spec, says in (("kvm:content=text", "content"), ("kvm:untouched=1GiB", "untouched"),
                           ("kvm:size=8KiB", "size"), ("kvm:dirty-log=magic", "magic"),
                           ("pattern:dirty-log=ring", "dirty-log")):
            status, _, err = run("send", "tcp:127.0.0.1:1", "--guest", spec)
            self.assertEqual(status, USAGE, err)
            self.assertIn(says, err)

    @unittest.skipIf(os.geteuid() != 0, "only root can become somebody else")
    def test_without_kvm_it_says_what_serves(self):
        os.chmod(self.folder, 0o755)
        done = subprocess.run([FERRY, "recv", "tcp:127.0.0.1:0", "--guest", "kvm"], user=65534, group=65534,
                              extra_groups=[], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE)
        self.assertEqual(done.returncode, FAILED, done.stderr)
        self.assertIn("a kvm guest needs /dev/kvm: Permission denied", done.stderr)
        self.assertIn("--guest pattern:", done.stderr)


if __name__ == "__main__":
    if missing("kvm"):
        raise SystemExit(77)
    main()
