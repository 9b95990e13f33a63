# SPDX-License-Identifier: BSD-3-Clause
# links.py - a slower network on this host: two network namespaces, a veth pair between them, and a rate for it
#
#      ferry-s 10.99.0.1 -- tbf -- veth (MTU 1500) -- tbf -- 10.99.0.2 ferry-d
import contextlib
import json
import subprocess
import time

NAMES = {"s": "ferry-bench-s", "d": "ferry-bench-d"}
HOST = "10.99.0.2"


def inside(side):
    return ["ip", "netns", "exec", NAMES[side]]


def call(text, **more):
    subprocess.run(text.split(), check=True, **more)


def down():
    for name in NAMES.values():
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL)


def set_rate(rate):
    """@rate: as tc has it, "10gbit", or None: none."""
    for side, device in (("s", "veth-s"), ("d", "veth-d")):
        subprocess.run(["tc", "-n", NAMES[side], "qdisc", "del", "dev", device, "root"], stderr=subprocess.DEVNULL)
        if rate:
            burst = "256kb" if rate == "1gbit" else "2mb"
            call(f"tc -n {NAMES[side]} qdisc add dev {device} root tbf rate {rate} burst {burst} latency 20ms")


@contextlib.contextmanager
def up(rate=None):
    """Both namespaces, as long as the block runs.  Needs root."""
    down()
    try:
        for name in NAMES.values():
            call(f"ip netns add {name}")
        call(f"ip link add veth-s netns {NAMES['s']} type veth peer name veth-d netns {NAMES['d']}")
        for side, address in (("s", "10.99.0.1"), ("d", HOST)):
            call(f"ip -n {NAMES[side]} addr add {address}/24 dev veth-{side}")
            call(f"ip -n {NAMES[side]} link set veth-{side} up")
            call(f"ip -n {NAMES[side]} link set lo up")
        set_rate(rate)
        yield
    finally:
        down()


def payload(rate):
    """@rate: in gbit. Bytes per second of TCP that such a link has room for: 1448 of the 1514 of each frame."""
    return int(rate.removesuffix("gbit")) * 1e9 / 8 * 1448 / 1514


def iperf(seconds=2):
    """Bytes per second of one stream of iperf3's; None where there is no such program."""
    try:
        server = subprocess.Popen([*inside("d"), "iperf3", "-s", "-1"], stdout=subprocess.DEVNULL)
        time.sleep(0.4)
        done = subprocess.run([*inside("s"), "iperf3", "-c", HOST, "-t", str(seconds), "-J"], capture_output=True)
        if done.returncode != 0:
            server.kill()
        server.wait()
        return json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"] / 8
    except (FileNotFoundError, ValueError, KeyError):
        return None
