# SPDX-License-Identifier: BSD-3-Clause
# cable.py - two network namespaces without names, a veth pair between them, and tc's tbf at both ends; gone with who made
# them
#
#      10.98.0.1 -- tbf -- veth -- tbf -- 10.98.0.2
import subprocess

HERE, THERE = "10.98.0.1", "10.98.0.2"


class Link:
    """Two namespaces that end with their keepers."""

    def __init__(self):
        self.keepers = [subprocess.Popen(["unshare", "-n", "sh", "-c", "echo; exec cat"], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE) for _ in range(2)]
        for keeper in self.keepers:
            keeper.stdout.readline()
        self.ip(0, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", str(self.keepers[1].pid))
        for side, address in enumerate((HERE, THERE)):
            self.ip(side, "address", "add", address + "/24", "dev", "cable")
            self.ip(side, "link", "set", "cable", "up")

    def inside(self, side):
        return ["nsenter", "-t", str(self.keepers[side].pid), "-n"]

    def ip(self, side, *argv):
        subprocess.run([*self.inside(side), "ip", *argv], check=True)

    def rate(self, rate):
        for side in range(2):
            subprocess.run([*self.inside(side), "tc", "qdisc", "replace", "dev", "cable", "root", "tbf", "rate", rate,
                            "burst", "1mb", "latency", "20ms"], check=True)

    def close(self):
        for keeper in self.keepers:
            keeper.stdin.close()
            keeper.wait()
