#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# end_to_end.py - how fast is a guest moved by the program, beside bare streams, and beside QEMU where there is one?
#
#      run      settings 1: limit, ferry, qemu | settings 2: limit, ferry, qemu | ...      in turns, several times
#
# The destination listens and is held still until the source's guest is there.  Then a third process, which holds warm
# memory, gives it back just ahead of the destination's growth: a host that takes free pages back makes the first touch
# of one cost twenty times as much, and differently every time.  What is waited for so counts as set-up, and does not
# count here, nor does what the source's guest spends meanwhile on its beats.
import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile

import links
from sides import MIB, PATIENCE, amount, guest_bytes, guest_of, keys_of, machine, migrate, warm_free

ABOUT = """How fast does `ferry send` move a guest to `ferry recv` on this host?

SETTINGS is KEY=VALUE,... for one migration; several are taken in turns:
  uri=tcp|unix|file     how the sides are connected; file: to it, and back
  net=10gbit            through two namespaces and a veth pair of that rate
  tls=x509|psk          with keys made for this run
  size, zero, content, untouched, dirty, hot, beats    what the guest is like
  OPTION=VALUE          of both sides: channels, compress, max-bandwidth, ...

`rate`: guest bytes per second without set-up; `limit`: as many bare streams
at the same time (bench-channels), or iperf3. Prints one JSON object."""


# ---- beside it -------------------------------------------------------------------------------------------------------

def bare_streams(args, settings):
    """The rate of as many bare streams; None where that is not asked by bench-channels, or not there."""
    program = os.path.join(args.bench, "bench-channels")
    count = settings.get("channels", "1")
    count = count if count not in ("0", "auto") else "1"
    if not os.path.exists(program) or count not in ("1", "2", "4"):
        return None
    size = min(amount(guest_of(args, settings)[1]["size"]), 1 << 30)
    argv = [program, "runs=1", f"size={size}", "count=" + count, "manner=" + ("v2-tls" if "tls" in settings else "v2"),
            "unix=" + ("on" if settings.get("uri") == "unix" else "off")]
    if "tls-ciphers" in settings:
        argv.append("cipher=" + settings["tls-ciphers"].split(":")[0])
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return json.loads(done.stdout)["results"][0]["limit"]


def bare(args, settings):
    """What could be reached at most; it says nothing about memory that is not incompressible, and files."""
    guest = guest_of(args, settings)[1]
    if "net" in settings:
        return links.iperf()
    plain = guest.get("content", "random") == "random" and guest.get("zero", "0%") == "0%" and "untouched" not in guest
    if args.no_limit or not plain or "compress" in settings or settings.get("uri") == "file":
        return None
    return bare_streams(args, settings)


def qemu_guest(args, settings):
    """The guest as QEMU's harness has it."""
    guest = guest_of(args, settings)[1]
    zero = guest.get("zero", "0%")
    fill = {"100%": "zeros", "50%": "halfzero"}.get(zero, guest.get("content", "random"))
    case = {"name": "end-to-end", "ram": guest_bytes(guest) // MIB, "fill": "none" if "untouched" in guest else fill}
    if guest.get("dirty", "0") != "0":
        part = int(guest.get("hot", "100%").removesuffix("%"))
        case.update(work="rand", rate=amount(guest["dirty"]) / 1e6, region=min(case["ram"] - 32, case["ram"] * part // 100))
    return case


def qemu_case(args, settings):
    """The same guest and settings as QEMU's harness has them."""
    case = {**qemu_guest(args, settings), "caps": {}, "params": {}, "uri": settings.get("uri", "tcp"), "cold": args.cold}
    for key, value in settings.items():
        if key == "channels" and value not in ("0", "1", "auto"):
            case["caps"]["multifd"] = True
            case["params"]["multifd-channels"] = int(value)
        elif key == "compress" and value in ("zlib", "zstd"):
            case["params"]["multifd-compression"] = value
            case["params"][f"multifd-{value}-level"] = int(settings.get("compress-level", 1))
        elif key == "tls":
            case["tls"] = value
        elif key == "tls-ciphers":
            case["priority"] = "NORMAL:-CIPHER-ALL:+" + value.split(":")[0].upper()
        elif key == "max-bandwidth" and value != "unlimited":
            case["params"]["max-bandwidth"] = amount(value)
        elif key == "downtime-limit":
            case["params"]["downtime-limit"] = int(value.removesuffix("ms"))
        elif key == "mapped-ram":
            case.update(mode="save-load", stop=True, file=os.path.join(args.files, "guest.qemu"))
            case["caps"]["mapped-ram"] = value == "on"
        elif key == "net":
            case.update(netns=links.NAMES, host=links.HOST)
    return case


def qemu(harness, args, settings):
    case = qemu_case(args, settings)
    out = harness.run(case)
    if "error" in out or not out.get("converged"):
        raise RuntimeError("QEMU: " + out.get("error", "did not converge"))
    gb, ms = case["ram"] * MIB / 1e9, max(1, out["total_ms"] - out["setup_ms"])
    row = {"rate": gb * 1e12 / ms, "total_ms": ms,
           "cpu": {"source": out["src_cpu_s"] / gb, "destination": out["dst_cpu_s"] / gb},
           "downtime_ms": out["downtime_ms"], "blackout_ms": out.get("obs_downtime_ms")}
    if "load_wall_s" in out:
        row["load_rate"] = gb * 1e9 / out["load_wall_s"]
    return row


# ---- all of it -------------------------------------------------------------------------------------------------------

def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def figures(runs):
    return {"rate": median(run["rate"] for run in runs),
            "cpu_s_per_gb": {side: median(run["cpu"][side] for run in runs) for side in ("source", "destination")},
            **{key: median(run.get(key) for run in runs)
               for key in ("total_ms", "downtime_ms", "blackout_ms", "load_rate") if runs[0].get(key) is not None}}


def paired(runs, key):
    return median(run["ferry"][key] / run["qemu"][key] for run in runs
                  if run["ferry"].get(key) and run["qemu"].get(key))


def result(text, runs):
    ours = [run["ferry"] for run in runs]
    row = {"settings": text, **figures(ours), "wire_bytes": median(run["wire_bytes"] for run in ours),
           "limit": median(run["limit"] for run in runs),
           "ratio": median(run["ferry"]["rate"] / run["limit"] for run in runs if run["limit"]), "runs": runs}
    theirs = [run["qemu"] for run in runs if run.get("qemu")]
    if theirs:
        pairs = [(sum(run["ferry"]["cpu"].values()), sum(run["qemu"]["cpu"].values())) for run in runs]
        row["qemu"] = {**figures(theirs),
                       "ratio": paired(runs, "rate"), "load_ratio": paired(runs, "load_rate"),
                       "total_ratio": paired(runs, "total_ms"), "blackout_ratio": paired(runs, "blackout_ms"),
                       "cpu_ratio": median(a / b for a, b in pairs if b)}
    return row


def make_keys(ferry, folder, wanted):
    for kind, argv in (("x509", ["x509", folder + "/x509", "--host", "localhost", "--client", "bench"]),
                       ("psk", ["psk", folder + "/psk"])):
        if kind in wanted:
            subprocess.run([ferry, "keys", *argv], check=True, stdout=subprocess.DEVNULL)


def run_once(args, settings, folder, harness, turn):
    run = {}
    with links.up(settings["net"]) if "net" in settings else contextlib.nullcontext():
        run["limit"] = bare(args, settings)
        for who in ("ferry", "qemu") if turn % 2 == 0 else ("qemu", "ferry"):
            if who == "ferry":
                run[who] = migrate(args, settings, folder)
            elif harness:
                run[who] = qemu(harness, args, settings)
    return run


def run_all(args, folder, harness):
    runs = [[] for _ in args.settings]
    for turn in range(args.runs):
        for text, done in zip(args.settings, runs):
            run = run_once(args, keys_of(text), folder, harness, turn)
            done.append(run)
            print(f"{text or 'plain'}: " + ", ".join(
                f"{who} {run[who]['rate'] / 1e9:.2f} GB/s" for who in ("ferry", "qemu") if who in run), file=sys.stderr)
    return [result(text, done) for text, done in zip(args.settings, runs)]


def load_harness(args):
    if not args.qemu:
        return None
    os.environ["Q10"] = args.qemu
    sys.path.insert(0, args.harness)
    peer = __import__("qemu_bench")

    class Peer(peer.Bench):
        def save_load(self, case, *more):
            if not args.cold:
                warm_free(case["ram"] * MIB * 3 // 2)
            super().save_load(case, *more)

    return Peer()


def checked(parser):
    """What every series is told, and whether it makes sense."""
    parser.add_argument("--cold", action="store_true", help="do not keep memory warm")
    parser.add_argument("--qemu", metavar="PATH", help="a QEMU to do the same, in turns")
    parser.add_argument("--harness", metavar="DIR", help="where qemu_bench.py and its guest are, for --qemu")
    args = parser.parse_args()
    args.settings = args.settings or ["", "tls=x509"]
    args.ferry = shutil.which(args.ferry) or parser.error(f"there is no {args.ferry}")
    if args.runs < 1:
        parser.error("--runs: at least 1")
    if bool(args.qemu) != bool(args.harness):
        parser.error("--qemu and --harness belong together")
    if any("=" not in part for text in args.settings for part in text.split(",") if part):
        parser.error("SETTINGS are KEY=VALUE,KEY=VALUE...")
    return args


def print_series(name, args, run_all_of):
    """Keys and the harness are made for it, and gone afterwards."""
    folder = tempfile.mkdtemp(prefix="ferry-bench-")
    before = machine()
    harness = None
    try:
        make_keys(args.ferry, folder, {keys_of(text).get("tls") for text in args.settings})
        harness = load_harness(args)
        rows = run_all_of(args, folder, harness)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"{name}.py: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        if harness:
            harness.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"bench": name, "machine": before,
                      "settings": {"guest": args.guest, "runs": args.runs, "cold": args.cold}, "results": rows}, indent=2))


def arguments():
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="SETTINGS", help="default: plain, and tls=x509")
    parser.add_argument("--ferry", default="ferry", metavar="PATH", help="the program")
    parser.add_argument("--bench", metavar="DIR", help="where bench-channels is [beside the program: ../bench]")
    parser.add_argument("--guest", default="pattern:size=256MiB", metavar="SPEC", help="[%(default)s]")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of which medians are taken [%(default)s]")
    parser.add_argument("--no-limit", action="store_true", help="do not measure bare streams")
    parser.add_argument("--files", default="/dev/shm", metavar="DIR", help="where uri=file puts them [%(default)s]")
    args = checked(parser)
    args.bench = args.bench or os.path.join(os.path.dirname(os.path.dirname(args.ferry)), "bench")
    return args


def main():
    print_series("end_to_end", arguments(), run_all)


if __name__ == "__main__":
    main()
