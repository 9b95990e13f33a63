# SPDX-License-Identifier: BSD-3-Clause
# sides.py - one migration by the program: two processes, warm memory, and what they reported
#
#      destination   listening, held still ....... goes on, grows ---> report
#      source        guest there: "connecting"     |             ---> report
#      warmer                      touches memory -'-> gives it back just ahead of the growth
import json
import mmap
import os
import select
import signal
import subprocess
import tempfile
import time

import links

PATIENCE = 120
MIB = 1 << 20
UNITS = {"": 1, "k": 10**3, "M": 10**6, "G": 10**9, "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40}


def amount(text):
    """"512MiB", "200MiB/s", "1.5GB" in bytes."""
    text = text.removesuffix("/s")
    bits = text.endswith("bit")
    number = text.removesuffix("bit").removesuffix("B")
    prefix = number.lstrip("0123456789.")
    return int(float(number.removesuffix(prefix) or 0) * UNITS[prefix]) // (8 if bits else 1)


def keys_of(text):
    return dict(part.split("=", 1) for part in text.split(",") if part)


def machine():
    with open("/proc/cpuinfo") as f:
        names = [line.split(":", 1)[1].strip() for line in f if line.startswith("model name")]
    return {"processor": names[0] if names else "?", "processors": len(os.sched_getaffinity(0)),
            "kernel": os.uname().release, "load": os.getloadavg()[0]}


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

    @staticmethod
    def resident(statm):
        try:
            return int(os.pread(statm, 128, 0).split()[1]) * mmap.PAGESIZE
        except (OSError, IndexError):
            return None

    def work(self, pid, left, said):
        memory = mmap.mmap(-1, left, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        total = left
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, total, mmap.PAGESIZE):
            memory[at] = 1
        statm = os.open(f"/proc/{pid}/statm", os.O_RDONLY)
        base = self.resident(statm)
        os.write(said, b"r")
        while left > 0 and (now := self.resident(statm)) is not None:
            while left > 0 and total - left < now - base + self.AHEAD:
                left -= self.PIECE
                memory.madvise(mmap.MADV_DONTNEED, left, self.PIECE)
            time.sleep(0.004)

    def close(self):
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


def warm_free(size):
    """Have the host back so much of the memory that is free here.  It takes free pages back after some seconds."""
    child = os.fork()
    if child == 0:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1
        os._exit(0)
    os.waitpid(child, 0)


class Side:
    def __init__(self, ferry, *argv, link=None):
        self.events, inherited = os.pipe()
        self.seen = b""
        self.words = tempfile.TemporaryFile("w+")
        words = [*(links.inside(link) if link else []), ferry, *argv, "--quiet", "--events", str(inherited)]
        self.process = subprocess.Popen(words, pass_fds=[inherited], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=self.words)
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


GUEST_KEYS = ("size", "dirty", "reads", "pattern", "hot", "zero", "untouched", "content", "huge", "beats")
OUR_KEYS = ("uri", "tls", "net")


def guest_of(args, settings):
    """What the guest is like: --guest, and what these settings say otherwise."""
    kind, _, text = args.guest.partition(":")
    guest = {"size": "256MiB", **keys_of(text), **{key: settings[key] for key in GUEST_KEYS if key in settings}}
    return kind, guest


def guest_bytes(guest):
    return amount(guest["size"]) + amount(guest.get("untouched", "0"))


def options_of(settings, keys):
    """What both sides are told."""
    both = []
    for key, value in settings.items():
        if key == "tls":
            both += ["--tls-creds", os.path.join(keys, value)]
        elif key not in OUR_KEYS + GUEST_KEYS:
            both += ["--" + key, value]
    return both


class Run:
    """The two sides of one migration, and who keeps memory warm for them."""
    def __init__(self, args, settings, folder):
        self.args, self.settings, self.folder = args, settings, folder
        self.kind, self.guest = guest_of(args, settings)
        self.spec = self.kind + ":" + ",".join(f"{key}={value}" for key, value in self.guest.items())
        self.both = options_of(settings, folder)
        self.sides, self.warmer, self.waited = [], None, 0

    def start(self, side, *argv):
        self.sides.append(Side(self.args.ferry, *argv, *self.both, link=self.settings.get("net") and side))
        return self.sides[-1]

    def listen(self):
        where = {"unix": f"unix:{self.folder}/socket"}.get(self.settings.get("uri"), "tcp:127.0.0.1:0")
        more = []
        if "net" in self.settings:
            where, more = f"tcp:{links.HOST}:0", [] if "tls" in self.settings else ["--insecure"]
        destination = self.start("d", "recv", where, "--guest", self.kind, "--run-on", "0s", *more)
        return destination, destination.await_event("listening")["address"]

    def over(self):
        """From one to the other."""
        host = ["--tls-hostname", "localhost"] if self.settings.get("tls") == "x509" else []
        destination, address = self.listen()
        if not self.args.cold:
            destination.process.send_signal(signal.SIGSTOP)
        source = self.start("s", "send", address, "--guest", self.spec, "--setup-timeout", f"{PATIENCE}s", *host)
        source.await_event("connecting")
        if not self.args.cold:
            before = source.cpu()
            self.warmer = Warmer(destination.process.pid, guest_bytes(self.guest) + 512 * MIB)
            self.waited = source.cpu() - before
            destination.process.send_signal(signal.SIGCONT)
        return source.report(), destination.report()

    def through_file(self):
        """To a file, and back out of it."""
        path = os.path.join(self.args.files, "guest.ferry")
        try:
            if not self.args.cold:
                warm_free(amount(self.guest["size"]) * 5 // 2)
            sent = self.start("s", "send", "file:" + path, "--guest", self.spec).report()
            self.close()
            if not self.args.cold:
                warm_free(amount(self.guest["size"]) * 3 // 2)
            return sent, self.start("d", "recv", "file:" + path, "--guest", self.kind, "--run-on", "0s").report()
        finally:
            if os.path.exists(path):
                os.unlink(path)

    def close(self):
        for side in self.sides:
            side.close()
        if self.warmer:
            self.warmer.close()
        self.sides, self.warmer = [], None


def migrate(args, settings, folder):
    run = Run(args, settings, folder)
    try:
        sent, got = run.through_file() if settings.get("uri") == "file" else run.over()
    finally:
        run.close()
    if sent["status"] != "completed" or got["status"] != "completed":
        raise RuntimeError(f"not completed: {sent.get('error')} {got.get('error')}")
    gb, us = sent["ram"]["total"] / 1e9, max(1, sent["total-time-us"] - sent["setup-time"] * 1000)
    out = {"rate": gb * 1e15 / us, "total_ms": us / 1000,
           "cpu": {"source": max(0, sent["cpu"] - run.waited) / gb, "destination": got["cpu"] / gb},
           "downtime_ms": sent["downtime-us"] / 1000, "blackout_ms": got["guest-blackout"],
           "wire_bytes": sent["ram"]["transferred"]}
    if settings.get("uri") == "file":
        out["load_rate"] = gb * 1e15 / max(1, got["total-time-us"])
    return out
