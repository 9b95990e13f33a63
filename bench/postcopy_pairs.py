#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# postcopy_pairs.py - what does a guest feel whose memory follows it, beside QEMU's, and how long does it take?
#
#      turn 0      settings 1: ferry, qemu | settings 2: ferry, qemu | ...
#      turn 1      settings 1: qemu, ferry | ...                               medians of the ratios of neighbours
#
# Both guests read pages of their memory at random, and time each touch with their own clocks; touches of less than 10 us
# are not counted.  QEMU runs with postcopy-preempt and gets its command as soon as it takes one, Ferry with now.
import argparse
import contextlib
import statistics
import sys

import links
from end_to_end import checked, print_series
from sides import MIB, Run, amount, guest_bytes, guest_of, keys_of

ABOUT = """How long does a guest wait for its pages in postcopy?

SETTINGS is KEY=VALUE,... for one migration; several are taken in turns:
  net=1gbit|10gbit      through two namespaces and a veth pair of that rate
  tls=x509|psk          with keys made for this run
  size, dirty, reads    what the guest is like [size=512MiB,reads=unlimited]
  OPTION=VALUE          of the program: channels, max-postcopy-bandwidth, ...

`touch`: by the guest's clock, `fault`: by Ferry's own histogram, both in us;
`wire`: time of the phase / (what was missing / what a net= of that rate has
room for), `bare`: ... / rate of iperf3. Settings with tls= are also set beside those without, those
with max-postcopy-bandwidth= beside those with the smallest. One JSON object."""

PERCENTILES = {"p50": "p50-us", "p90": "p90-us", "p99": "p99-us", "p99.9": "p99.9-us", "mean": "mean-us",
               "count": "count"}


def picked(latency):
    return {ours: latency[theirs] for ours, theirs in PERCENTILES.items()}


def ferry(args, settings, folder):
    settings = {"postcopy": "now", "channels": "1", **settings}
    run = Run(args, settings, folder)
    try:
        sent, got = run.over()
    finally:
        run.close()
    if sent["status"] != "completed" or got["status"] != "completed":
        raise RuntimeError(f"not completed: {sent.get('error')} {got.get('error')}")
    here, there = sent["postcopy"], got["postcopy"]
    background = there["received-pages"] - here["requested-pages"] - here["prefetched-pages"]
    precopy_s = (sent["total-time-us"] / 1000 - sent["setup-time"] - here["time"]) / 1000
    before = sent["ram"]["transferred"] - there["discarded-pages"] * 4096
    return {"touch": picked(there["guest-latency"]), "fault": picked(there["latency"]), "time_ms": here["time"],
            "missing": there["discarded-pages"] * 4096, "requests": here["requests"],
            "already_sent": here["already-sent"], "background_rate": background * 4096e3 / here["time"],
            "precopy_rate": max(before, 0) / max(precopy_s, 1e-3), "blackout_ms": got["guest-blackout"]}


def qemu(harness, args, settings):
    guest = guest_of(args, settings)[1]
    size = guest_bytes(guest) // MIB
    writes = guest.get("dirty", "0") != "0"
    rate = guest["dirty" if writes else "reads"]
    case = {"name": "postcopy-pairs", "mode": "postcopy", "ram": size, "region": size, "fill": "random", "thr_us": 10,
            "work": "writerand" if writes else "readrand", "rate": "max" if rate == "unlimited" else amount(rate) / 1e6,
            "caps": {"postcopy-ram": True, "postcopy-blocktime": True, "postcopy-preempt": True}, "pc_pass": 1,
            "pc_delay": 0, "timeout": 120, "params": {}}
    if "net" in settings:
        case.update(netns=links.NAMES, host=links.HOST)
    if "tls" in settings:
        case["tls"] = settings["tls"]
    out = harness.run(case)
    if "error" in out or not out.get("converged") or "lat_us" not in out:
        raise RuntimeError("QEMU: " + out.get("error", "did not converge, or nobody touched anything"))
    touch = {key.replace("p999", "p99.9"): value for key, value in out["lat_us"].items()}
    return {"touch": {**touch, "count": out["lat_n_over_thr"]}, "time_ms": (out["wall_s"] - out["precopy_s"]) * 1000,
            "requests": out["postcopy_requests"], "precopy_ms": out["precopy_s"] * 1000}


# ---- all of it -------------------------------------------------------------------------------------------------------

def run_once(args, settings, folder, harness, turn):
    run = {"limit": None}
    with links.up(settings["net"]) if "net" in settings else contextlib.nullcontext():
        if "net" in settings:
            run["limit"] = links.iperf()
        for who in ("ferry", "qemu") if turn % 2 == 0 else ("qemu", "ferry"):
            if who == "ferry":
                run[who] = ferry(args, settings, folder)
            elif harness and not any("bandwidth" in key for key in settings):
                run[who] = qemu(harness, args, settings)
    if "net" in settings:
        rate = run["ferry"]["missing"] / run["ferry"]["time_ms"] * 1000
        run["wire"] = links.payload(settings["net"]) / rate
        run["bare"] = run["limit"] / rate if run["limit"] else None
    return run


def median(values):
    return statistics.median(values) if values else None


def medians(rows):
    return {key: median([row[key] for row in rows]) for key in rows[0]}


def side(runs, who):
    rows = [run[who] for run in runs]
    flat = {key: median([row[key] for row in rows]) for key in rows[0] if key not in ("touch", "fault")}
    return {**{key: medians([row[key] for row in rows]) for key in ("touch", "fault") if key in rows[0]}, **flat}


def ratios(mine, others):
    """Of neighbours."""
    touch = {key: median([a["touch"][key] / b["touch"][key] for a, b in zip(mine, others)])
             for key in ("p50", "p90", "p99", "p99.9", "mean")}
    return {**touch, "time": median([a["time_ms"] / b["time_ms"] for a, b in zip(mine, others)])}


def neighbour(text, done):
    """What these settings are to be seen beside: the same without TLS, or the most held back."""
    keys = keys_of(text)
    if "tls" in keys:
        wanted = {key: value for key, value in keys.items() if key != "tls"}
    elif "max-postcopy-bandwidth" in keys:
        rates = [keys_of(other).get("max-postcopy-bandwidth") for other in done]
        wanted = {**keys, "max-postcopy-bandwidth": min((rate for rate in rates if rate), key=amount)}
    else:
        return None
    return next((other for other in done if other != text and keys_of(other) == wanted), None)


def result(text, done):
    runs = done[text]
    ours = [run["ferry"] for run in runs]
    row = {"settings": text, "ferry": side(runs, "ferry")}
    if "qemu" in runs[0]:
        row.update(qemu=side(runs, "qemu"), ratio=ratios(ours, [run["qemu"] for run in runs]))
    beside = neighbour(text, done)
    if beside is not None:
        row["beside"] = {"settings": beside, **ratios(ours, [run["ferry"] for run in done[beside]])}
    for key in ("wire", "bare"):
        if runs[0].get(key):
            row[key] = median([run[key] for run in runs])
    return {**row, "runs": runs}


def run_all(args, folder, harness):
    done = {text: [] for text in args.settings}
    for turn in range(args.runs):
        for text in args.settings:
            run = run_once(args, keys_of(text), folder, harness, turn)
            done[text].append(run)
            print(f"{text or 'plain'}: " + "; ".join(
                f"{who} " + " ".join(f"{run[who]['touch'][key]:.0f}" for key in ("p50", "p90", "p99", "p99.9")) +
                f" us, {run[who]['time_ms']:.0f} ms" for who in ("ferry", "qemu") if who in run), file=sys.stderr)
    return [result(text, done) for text in args.settings]


def arguments():
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="SETTINGS", help="default: plain, and tls=x509")
    parser.add_argument("--ferry", default="ferry", metavar="PATH", help="the program")
    parser.add_argument("--guest", default="pattern:size=512MiB,reads=unlimited,beats=1000", metavar="SPEC",
                        help="[%(default)s]")
    parser.add_argument("--runs", type=int, default=5, metavar="N", help="of which medians are taken [%(default)s]")
    return checked(parser)


def main():
    print_series("postcopy_pairs", arguments(), run_all)


if __name__ == "__main__":
    main()
