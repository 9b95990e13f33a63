# SPDX-License-Identifier: BSD-3-Clause
# qemu.py - a small QEMU, spoken to by QMP
import json
import os
import select
import shutil
import socket
import subprocess
import tempfile
import time

BINARY = os.environ.get("FERRY_QEMU", "qemu-system-x86_64")
PATIENCE = 120


def runs(*arguments):
    try:
        return subprocess.run([BINARY, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE).returncode == 0
    except OSError:
        return False


class Qemu:
    """A machine with @megabytes of memory, into which @blob is loaded.  Its BIOS runs."""

    def __init__(self, megabytes, blob, *more):
        self.folder = tempfile.mkdtemp(prefix="ferry-qemu-")
        self.bytes = megabytes << 20
        here, there = socket.socketpair()
        accel = ["-accel", "kvm", "-accel", "tcg"]
        try:
            self.process = subprocess.Popen(
                [BINARY, *accel, "-machine", "pc", "-m", str(megabytes), "-nodefaults", "-display", "none",
                 "-chardev", f"socket,id=q,fd={there.fileno()}",
                 "-mon", "chardev=q,mode=control", "-device", f"loader,file={blob},addr=0x100000,force-raw=on", *more],
                stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, pass_fds=[there.fileno()])
        finally:
            there.close()
        self.socket, self.text = here, b""
        self.receive()
        self.command("qmp_capabilities")

    def receive(self):
        deadline = time.monotonic() + PATIENCE
        while b"\n" not in self.text:
            if not select.select([self.socket], [], [], max(0, deadline - time.monotonic()))[0]:
                raise AssertionError("QEMU does not answer")
            more = self.socket.recv(65536)
            if not more:
                raise AssertionError(f"QEMU ended: {self.process.stderr.read().decode()}")
            self.text += more
        line, self.text = self.text.split(b"\n", 1)
        return json.loads(line)

    def command(self, name, **arguments):
        self.socket.sendall(json.dumps({"execute": name, "arguments": arguments}).encode() + b"\n")
        while True:
            answer = self.receive()
            if "error" in answer:
                raise AssertionError(f"{name}: {answer['error']['desc']}")
            if "return" in answer:
                return answer["return"]

    def capability(self, name, state=True):
        self.command("migrate-set-capabilities", capabilities=[{"capability": name, "state": state}])

    def migrate(self, uri):
        """To its end; returns query-migrate."""
        self.command("migrate", uri=uri)
        return self.migration_end()

    def migration_end(self):
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            about = self.command("query-migrate")
            if about.get("status") in ("completed", "failed", "cancelled"):
                return about
            select.select([self.socket], [], [], 0.05)
        raise AssertionError(f"the migration does not end: {about}")

    def memory(self):
        path = os.path.join(self.folder, "memory")
        self.command("pmemsave", val=0, size=self.bytes, filename=path)
        with open(path, "rb") as f:
            return f.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self.socket.close()
        shutil.rmtree(self.folder)
