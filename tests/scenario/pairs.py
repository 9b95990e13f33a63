# SPDX-License-Identifier: BSD-3-Clause
# pairs.py - every two settings of a migration work together
#
# A table of runs is made so that each pair of values of any two axes occurs in one of them.  What the qemu dialect does
# not have (docs/options.md) is refused with a sentence, and that is asserted, too.
import itertools
import random

import pki
from ferry import Case, guest, main, missing

AXES = {
    "peer": ["ferry", "qemu"],
    "kind": ["tcp", "unix"],
    "channels": ["1", "4"],
    "tls": ["plain", "x509", "psk"],
    "compress": ["none", "zlib", "zstd", "lz4", "xbzrle", "auto"],
    "limit": ["unlimited", "200MiB/s"],
    "guest": ["pattern", "kvm"],
    "version": ["auto", "7.2", "8.1"],
}
ONLY_FERRY = {"lz4", "xbzrle", "auto"}
SIZE = "24MiB"


def pairs_of(run):
    return {((a, run[a]), (b, run[b])) for a, b in itertools.combinations(AXES, 2)}


def covering(seed=1):
    """Runs that hold all pairs: greedily, the best of some random ones each time."""
    dice = random.Random(seed)
    wanted = {((a, x), (b, y)) for a, b in itertools.combinations(AXES, 2) for x in AXES[a] for y in AXES[b]}
    runs = []
    while wanted:
        pair = min(wanted)
        tries = [dict({axis: dice.choice(values) for axis, values in AXES.items()}, **dict(pair)) for _ in range(40)]
        runs.append(max(tries, key=lambda run: len(pairs_of(run) & wanted)))
        wanted -= pairs_of(runs[-1])
    return runs


class Pairs(Case):
    def settings(self, run, side):
        argv = ["--channels", run["channels"], "--compress", run["compress"]]
        if run["tls"] != "plain":
            argv += ["--tls-creds", self.pki if run["tls"] == "x509" else self.psk]
        if side == "send":
            argv += ["--peer", run["peer"], "--peer-version", run["version"], "--max-bandwidth", run["limit"]]
            argv += ["--tls-hostname", "localhost"] if run["tls"] == "x509" else []
        return argv

    def cross(self, run):
        uri = "tcp:127.0.0.1:0" if run["kind"] == "tcp" else f"unix:{self.path(str(next(self.names)))}"
        spec = guest(SIZE, "2MiB/s", ",zero=25%,content=mixed") if run["guest"] == "pattern" \
            else f"kvm:size={SIZE},dirty=2MiB/s"
        recv = self.start("recv", uri, "--guest", run["guest"], "--run-on", "20ms", *self.settings(run, "recv"))
        address = recv.wait_event("listening")["address"]
        send = self.send(address, *self.settings(run, "send"), spec=spec)
        if run["peer"] == "qemu" and run["compress"] in ONLY_FERRY:
            status, report = send.end()
            self.assertNotEqual(status, 0)
            self.assertIn("the qemu dialect has none, zlib and zstd", report["error"]["text"])
            return
        sent, received = self.assert_done(send), self.assert_done(recv)
        self.assert_verified(received, SIZE)
        self.check_report(run, sent)

    def check_report(self, run, sent):
        channels = sent["channels"]
        self.assertEqual(len(channels), 1 + int(run["channels"]))
        self.assertEqual([channel["role"] for channel in channels], ["main"] + ["pages"] * int(run["channels"]))
        self.assertTrue(all("tls" in channel for channel in channels) == (run["tls"] != "plain"))
        if run["tls"] != "plain" and run["peer"] == "ferry":
            self.assertEqual([channel["tls"]["handshake"] for channel in channels],
                             ["full"] + ["resumed"] * int(run["channels"]))
        self.assertGreater(sum(channel["bytes"] for channel in channels[1:]), 0)

    def test_all_pairs(self):
        self.names = itertools.count()
        self.pki, self.psk = pki.x509(self.path("pki")), pki.psk(self.path("keys.psk"))
        runs = [run for run in covering() if run["guest"] != "kvm" or not missing("kvm")]
        for run in runs:
            with self.subTest(**run):
                self.cross(run)

    def test_the_table_holds_every_pair(self):
        held = set().union(*(pairs_of(run) for run in covering()))
        count = sum(len(x) * len(y) for x, y in itertools.combinations(AXES.values(), 2))
        self.assertEqual(len(held), count)


if __name__ == "__main__":
    main()
