# SPDX-License-Identifier: BSD-3-Clause
# captures.py - streams of real QEMUs, and what inspect says of them
#
# They are not part of the source: $FERRY_CAPTURES names their folder, else they lie beside the source.  Its README.md
# has the digest of each one's memory.
import gzip
import json
import os
import re
import subprocess
import sys
import tempfile

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BESIDE = os.path.join("..", "shared", "captures")
FOLDER = os.environ.get("FERRY_CAPTURES") or os.path.join(TOP, BESIDE)
FERRY = os.environ["FERRY"]
PATIENCE = 120


def read(name):
    with gzip.open(os.path.join(FOLDER, name + ".gz")) as f:
        return f.read()


def digest(name):
    """Of the memory, by the README."""
    with open(os.path.join(FOLDER, "README.md")) as f:
        entry = next(line for line in f if line.startswith(f"- **{name}**"))
    return re.search(r"RAM sha256 \(16777216 bytes\) `([0-9a-f]{64})`", entry).group(1)


def inspect(stream, *argv, channels=(), back=()):
    """Of bytes: status, report, memory, and what was said on stderr."""
    with tempfile.TemporaryDirectory() as folder:
        ram = os.path.join(folder, "ram")
        words = [FERRY, "inspect", "-"]
        for i, channel in enumerate(channels):
            words.append(os.path.join(folder, f"conn{i + 1}"))
            with open(words[-1], "wb") as f:
                f.write(channel)
        for i, data in enumerate(back):
            words += ["--return-path", os.path.join(folder, f"back{i}")]
            with open(words[-1], "wb") as f:
                f.write(data)
        done = subprocess.run([*words, "--json", "-", "--ram", ram, *argv], input=stream, capture_output=True,
                              timeout=PATIENCE)
        with open(ram, "rb") as f:
            memory = f.read()
    return done.returncode, json.loads(done.stdout), memory, done.stderr


def need():
    if not os.path.exists(os.path.join(FOLDER, "README.md")):
        print(f"SKIP: needs file: {os.path.join(BESIDE, 'README.md')} captures of QEMU's streams")
        sys.exit(77)
