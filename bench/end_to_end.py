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
import json
import mmap
import os
import select
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PATIENCE = 120
MIB = 1 << 20
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}

ABOUT = """How fast does `ferry send` move a guest to `ferry recv` on this host?

SETTINGS is KEY=VALUE,... for one migration; several are taken in turns:
  uri=tcp|unix          how the sides are connected
  tls=x509|psk          with keys made for this run
  OPTION=VALUE          of both sides: channels, compress, max-bandwidth, ...

`rate`: guest bytes per second without set-up; `limit`: as many bare streams
at the same time (bench-channels). Prints one JSON object."""


def amount(text):
    """"512MiB", "200MiB/s", "1.5GB" in bytes."""
    text = text.removesuffix("/s")
    bits = text.endswith("bit")
    number = text.removesuffix("bit").removesuffix("B")
    prefix = number.lstrip("0123456789.")
    return int(float(number.removesuffix(prefix) or 0) * UNITS[prefix]) // (8 if bits else 1)


def keys_of(text):
    return dict(part.split("=", 1) for part in text.split(",") if part)


# ---- one migration ---------------------------------------------------------------------------------------------------

class Warmer:
    """A process that holds warm memory, and gives it back ahead of the growth of another."""
    PIECE, AHEAD = 8 * MIB, 256 * MIB

    def __init__(self, pid, size):
        ready, said = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(ready)
            try:
                self.work(pid, size // self.PIECE * self.PIECE, said)
            finally:
                os._exit(0)
        os.close(said)
        os.read(ready, 1)
        os.close(ready)

    def resident(self, pid):
        try:
            with open(f"/proc/{pid}/statm") as f:
                return int(f.read().split()[1]) * mmap.PAGESIZE
        except (OSError, IndexError):
            return None

    def work(self, pid, left, said):
        memory = mmap.mmap(-1, left, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        total = left
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, total, mmap.PAGESIZE):
            memory[at] = 1
        base = self.resident(pid)
        os.write(said, b"r")
        while left > 0 and (now := self.resident(pid)) is not None:
            while left > 0 and total - left < now - base + self.AHEAD:
                left -= self.PIECE
                memory.madvise(mmap.MADV_DONTNEED, left, self.PIECE)
            time.sleep(0.001)

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


class Side:
    def __init__(self, ferry, *argv):
        self.events, inherited = os.pipe()
        self.seen = b""
        self.words = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([ferry, *argv, "--quiet", "--events", str(inherited)], pass_fds=[inherited],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.words)
        os.close(inherited)

    def fail(self, what):
        self.words.seek(0)
        raise RuntimeError(f"{' '.join(self.process.args)}: {what}\n{self.words.read()}")

    def await_event(self, name):
        until = time.monotonic() + PATIENCE
        while True:
            *lines, self.seen = self.seen.split(b"\n")
            for i, line in enumerate(lines):
                if json.loads(line)["event"] == name:
                    self.seen = b"\n".join(lines[i + 1:] + [self.seen])
                    return json.loads(line)
            if not select.select([self.events], [], [], max(0, until - time.monotonic()))[0]:
                self.fail(f"no event '{name}'")
            more = os.read(self.events, 65536)
            if not more:
                self.process.wait()
                self.fail(f"ended before '{name}'")
            self.seen += more

    def cpu(self):
        """Seconds so far, in ticks of the kernel's."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def report(self):
        return self.await_event("report")

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self.events)
        self.words.close()


def options_of(settings, keys):
    """What both sides are told, and what only one is."""
    both = []
    for key, value in settings.items():
        if key == "tls":
            both += ["--tls-creds", os.path.join(keys, value)]
        elif key != "uri":
            both += ["--" + key, value]
    return both


def migrate(args, settings, folder):
    uri = f"unix:{folder}/socket" if settings.get("uri") == "unix" else "tcp:127.0.0.1:0"
    both = options_of(settings, folder)
    host = ["--tls-hostname", "localhost"] if settings.get("tls") == "x509" else []
    size = amount(keys_of(args.guest.partition(":")[2]).get("size", "256MiB"))
    sides, warmer, waited = [], None, 0
    try:
        destination = Side(args.ferry, "recv", uri, "--guest", args.guest.partition(":")[0], "--run-on", "0s", *both)
        sides.append(destination)
        address = destination.await_event("listening")["address"]
        if not args.cold:
            destination.process.send_signal(signal.SIGSTOP)
        source = Side(args.ferry, "send", address, "--guest", args.guest, "--setup-timeout", f"{PATIENCE}s", *both, *host)
        sides.append(source)
        source.await_event("connecting")
        if not args.cold:
            before = source.cpu()
            warmer = Warmer(destination.process.pid, size + 512 * MIB)
            waited = source.cpu() - before
            destination.process.send_signal(signal.SIGCONT)
        sent, got = source.report(), destination.report()
    finally:
        for side in sides:
            side.close()
        if warmer:
            warmer.close()
    if sent["status"] != "completed" or got["status"] != "completed":
        raise RuntimeError(f"not completed: {sent.get('error')} {got.get('error')}")
    gb = sent["ram"]["total"] / 1e9
    return {"rate": gb * 1e9 / ((sent["total-time-us"] - sent["setup-time"] * 1000) / 1e6),
            "cpu": {"source": max(0, sent["cpu"] - waited) / gb, "destination": got["cpu"] / gb},
            "downtime_ms": sent["downtime-us"] / 1000, "blackout_ms": got["guest-blackout"],
            "wire_bytes": sent["ram"]["transferred"]}


# ---- beside it -------------------------------------------------------------------------------------------------------

def bare(args, settings):
    """The rate of as many bare streams; None where that is not asked by bench-channels, or not there."""
    program = os.path.join(args.bench, "bench-channels")
    count = settings.get("channels", "1")
    count = count if count not in ("0", "auto") else "1"
    if not os.path.exists(program) or count not in ("1", "2", "4"):
        return None
    argv = [program, "runs=1", "size=256MiB", "count=" + count, "manner=" + ("v2-tls" if "tls" in settings else "v2"),
            "unix=" + ("on" if settings.get("uri") == "unix" else "off")]
    if "tls-ciphers" in settings:
        argv.append("cipher=" + settings["tls-ciphers"].split(":")[0])
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=PATIENCE)
    return json.loads(done.stdout)["results"][0]["limit"]


def qemu_case(args, settings):
    """The same guest and settings as QEMU's harness has them."""
    guest = keys_of(args.guest.partition(":")[2])
    zero = guest.get("zero", "0%")
    case = {"name": "end-to-end", "ram": amount(guest.get("size", "256MiB")) // MIB, "caps": {}, "params": {},
            "uri": settings.get("uri", "tcp"), "cold": args.cold,
            "fill": {"100%": "zeros", "50%": "halfzero"}.get(zero, guest.get("content", "random"))}
    if guest.get("dirty", "0") != "0":
        case.update(work="rand", rate=amount(guest["dirty"]) / 1e6, region=case["ram"] // 2)
    for key, value in settings.items():
        if key == "channels" and value not in ("0", "auto"):
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
    return case


def qemu(harness, args, settings):
    case = qemu_case(args, settings)
    out = harness.run(case)
    if "error" in out or not out.get("converged"):
        raise RuntimeError("QEMU: " + out.get("error", "did not converge"))
    gb = case["ram"] * MIB / 1e9
    return {"rate": gb * 1e9 / (max(1, out["total_ms"] - out["setup_ms"]) / 1e3),
            "cpu": {"source": out["src_cpu_s"] / gb, "destination": out["dst_cpu_s"] / gb},
            "downtime_ms": out["downtime_ms"], "blackout_ms": out.get("obs_downtime_ms")}


# ---- all of it -------------------------------------------------------------------------------------------------------

def median(values):
    values = [value for value in values if value is not None]
    return statistics.median(values) if values else None


def figures(runs):
    return {"rate": median(run["rate"] for run in runs),
            "cpu_s_per_gb": {side: median(run["cpu"][side] for run in runs) for side in ("source", "destination")},
            "downtime_ms": median(run["downtime_ms"] for run in runs),
            "blackout_ms": median(run["blackout_ms"] for run in runs)}


def result(text, runs):
    ours = [run["ferry"] for run in runs]
    row = {"settings": text, **figures(ours), "wire_bytes": median(run["wire_bytes"] for run in ours),
           "limit": median(run["limit"] for run in runs),
           "ratio": median(run["ferry"]["rate"] / run["limit"] for run in runs if run["limit"]), "runs": runs}
    theirs = [run["qemu"] for run in runs if run.get("qemu")]
    if theirs:
        pairs = [(sum(run["ferry"]["cpu"].values()), sum(run["qemu"]["cpu"].values())) for run in runs]
        row["qemu"] = {**figures(theirs),
                       "ratio": median(run["ferry"]["rate"] / run["qemu"]["rate"] for run in runs),
                       "cpu_ratio": median(a / b for a, b in pairs if b)}
    return row


def machine():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return {"processor": names[0] if names else "?", "processors": len(os.sched_getaffinity(0)),
            "kernel": os.uname().release, "load": os.getloadavg()[0]}


def make_keys(ferry, folder, wanted):
    for kind, argv in (("x509", ["x509", folder + "/x509", "--host", "localhost", "--client", "bench"]),
                       ("psk", ["psk", folder + "/psk"])):
        if kind in wanted:
            subprocess.run([ferry, "keys", *argv], check=True, stdout=subprocess.DEVNULL)


def run_all(args, folder, harness):
    runs = [[] for _ in args.settings]
    for turn in range(args.runs):
        for text, done in zip(args.settings, runs):
            settings = keys_of(text)
            run = {"limit": bare(args, settings)}
            for who in ("ferry", "qemu") if turn % 2 == 0 else ("qemu", "ferry"):
                if who == "ferry":
                    run[who] = migrate(args, settings, folder)
                elif harness:
                    run[who] = qemu(harness, args, settings)
            done.append(run)
            print(f"{text or 'plain'}: " + ", ".join(
                f"{who} {run[who]['rate'] / 1e9:.2f} GB/s" for who in ("ferry", "qemu") if who in run), file=sys.stderr)
    return [result(text, done) for text, done in zip(args.settings, runs)]


def load_harness(args):
    if not args.qemu:
        return None
    os.environ["Q10"] = args.qemu
    sys.path.insert(0, args.harness)
    return __import__("qemu_bench").Bench()


def arguments():
    parser = argparse.ArgumentParser(description=ABOUT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("settings", nargs="*", metavar="SETTINGS", help="default: plain, and tls=x509")
    parser.add_argument("--ferry", default="ferry", metavar="PATH", help="the program")
    parser.add_argument("--bench", metavar="DIR", help="where bench-channels is [beside the program: ../bench]")
    parser.add_argument("--guest", default="pattern:size=256MiB", metavar="SPEC", help="[%(default)s]")
    parser.add_argument("--runs", type=int, default=3, metavar="N", help="of which medians are taken [%(default)s]")
    parser.add_argument("--cold", action="store_true", help="do not keep memory warm")
    parser.add_argument("--qemu", metavar="PATH", help="a QEMU to do the same, in turns")
    parser.add_argument("--harness", metavar="DIR", help="where qemu_bench.py and its guest are, for --qemu")
    args = parser.parse_args()
    args.settings = args.settings or ["", "tls=x509"]
    args.ferry = shutil.which(args.ferry) or parser.error(f"there is no {args.ferry}")
    args.bench = args.bench or os.path.join(os.path.dirname(os.path.dirname(args.ferry)), "bench")
    if args.runs < 1:
        parser.error("--runs: at least 1")
    if bool(args.qemu) != bool(args.harness):
        parser.error("--qemu and --harness belong together")
    if any("=" not in part for text in args.settings for part in text.split(",") if part):
        parser.error("SETTINGS are KEY=VALUE,KEY=VALUE...")
    return args


def main():
    args = arguments()
    folder = tempfile.mkdtemp(prefix="ferry-bench-")
    before = machine()
    harness = None
    try:
        make_keys(args.ferry, folder, {keys_of(text).get("tls") for text in args.settings})
        harness = load_harness(args)
        rows = run_all(args, folder, harness)
    except (RuntimeError, subprocess.SubprocessError) as error:
        print(f"end_to_end.py: {error}", file=sys.stderr)
        sys.exit(1)
    finally:
        if harness:
            harness.close()
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps({"bench": "end_to_end", "machine": before,
                      "settings": {"guest": args.guest, "runs": args.runs, "cold": args.cold}, "results": rows}, indent=2))


if __name__ == "__main__":
    main()
