# SPDX-License-Identifier: BSD-3-Clause
# inspect_stream.py - `ferry inspect` on files, pipes, sockets and children; what it writes, and how it ends
#
# The stream is made here by hand, from the description in docs/protocol.md.
import hashlib
import json
import os
import socket
import struct
import subprocess
import unittest

from ferry import DONE, FAILED, FERRY, PATIENCE, USAGE, Case, run

PAGE = 4096
DIGEST = "396a8b748a866a05707be6bac4315c59a7eef51551d61b429d86ae094cf0a4bf"
DESCRIPTION = {"page_size": PAGE, "devices": [
    {"name": "dev", "instance_id": 0, "vmsd_name": "dev", "version": 1,
     "fields": [{"name": "a", "type": "uint32", "size": 4}],
     "subsections": [{"vmsd_name": "dev/x", "version": 1, "fields": [{"name": "b", "type": "bool", "size": 1}]}]}]}
DELTA = bytes.fromhex("000109 ab0203aabbcc d01d0107")


def be64(value):
    return struct.pack(">Q", value)


def name(text):
    return bytes([len(text)]) + text.encode()


def footer(number):
    return b"\x7e" + struct.pack(">I", number)


def section(kind, number, body, idstr=None, version=0):
    head = bytes([kind]) + struct.pack(">I", number)
    if idstr:
        head += name(idstr) + struct.pack(">II", 0, version)
    return head + body + footer(number)


def command(number, payload=b""):
    return b"\x08" + struct.pack(">HH", number, len(payload)) + payload


def golden():
    """Two blocks, pages of every kind, one device with a subsection."""
    end = be64(0x10)
    blocks = be64(0x3000 | 4) + name("r") + be64(0x2000) + name("s") + be64(0x1000)
    pages = be64(2) + name("r") + b"\0" + be64(0x1000 | 0x28) + b"\x01" * PAGE + be64(2) + name("s") + b"\0"
    delta = be64(0x1000 | 0x40) + name("r") + b"\x01" + struct.pack(">H", len(DELTA)) + DELTA
    device = struct.pack(">I", 42) + b"\x05" + name("dev/x") + struct.pack(">I", 1) + b"\x01"
    text = json.dumps(DESCRIPTION).encode()
    return b"".join([
        b"QEVM", struct.pack(">I", 3), b"\x07", struct.pack(">I", 4), b"test",
        command(1), command(2, struct.pack(">I", 1)),
        section(1, 2, blocks + end, "ram", 4), section(2, 2, pages + end), section(2, 2, delta + end),
        section(3, 2, end), section(4, 5, device, "dev", 1),
        b"\0", b"\x06", struct.pack(">I", len(text)), text])


def golden_block():
    page = bytearray(b"\x01" * PAGE)
    page[0], page[300:303], page[PAGE - 1] = 9, b"\xaa\xbb\xcc", 7
    return bytes(PAGE) + bytes(page)


class Inspect(Case):
    def stream(self, data):
        with open(self.path("stream"), "wb") as f:
            f.write(data)
        return self.path("stream")

    def report(self, *argv, status=DONE):
        done, out, err = run("inspect", *argv, "--json", "-")
        self.assertEqual(done, status, err)
        return json.loads(out)

    def content(self, path):
        with open(path, "rb") as f:
            return f.read()

    def test_stream_is_the_documented_one(self):
        data = golden()
        self.assertEqual((len(data), hashlib.sha256(data).hexdigest()), (4605, DIGEST))

    def test_words(self):
        status, out, err = run("inspect", self.stream(golden()))
        self.assertEqual((status, err), (DONE, ""))
        for words in ("machine test", "command ping: 1", "start ram, id 2, version 4", "full dev, id 5, version 1",
                      "a  uint32 42 (0x2a)", "b  bool true"):
            self.assertIn(words, out)

    def test_report_accounts_for_every_byte(self):
        for verbose in ([], ["--verbose"]):
            report = self.report(self.stream(golden()), *verbose)
            self.assertEqual((report["status"], report["bytes"]), ("completed", 4605))
            offset = 0
            for item in report["items"]:
                self.assertEqual(item["offset"], offset)
                offset += item["size"]
            self.assertEqual(offset, 4605)
            device, = report["devices"]
            self.assertEqual((device["name"], device["size"], device["sized-by"]), ("dev", 16, "description"))
            self.assertEqual(device["fields"][0], {"name": "a", "type": "uint32", "size": 4, "value": 42})
            self.assertEqual(device["fields"][1]["fields"][0]["value"], True)
            self.assertEqual([(block["name"], block["length"]) for block in report["ram"]["blocks"]],
                             [("r", 0x2000), ("s", 0x1000)])
            self.assertNotIn("error", report)

    def test_memory_is_written(self):
        stream = self.stream(golden())
        self.assertEqual(run("inspect", stream, "--ram", self.path("r"))[0], DONE)
        self.assertEqual(self.content(self.path("r")), golden_block())
        self.assertEqual(run("inspect", stream, "--ram", self.path("s"), "--block", "s")[0], DONE)
        self.assertEqual(self.content(self.path("s")), bytes(PAGE))
        self.assertEqual(os.stat(self.path("s")).st_blocks, 0)

    def test_every_source_of_bytes(self):
        stream = self.stream(golden())
        self.report(f"file:{stream}")
        self.report(f"exec:cat {stream}")
        with open(stream, "rb") as f:
            done = subprocess.run([FERRY, "inspect", "-"], stdin=f, capture_output=True, timeout=PATIENCE)
            self.assertEqual(done.returncode, DONE, done.stderr)

    def test_live_source_is_answered(self):
        path = self.path("socket")
        for uri in ("tcp:127.0.0.1:0", f"unix:{path}"):
            process = subprocess.Popen([FERRY, "inspect", uri], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True)
            address = process.stderr.readline().removeprefix("listening on ").strip()
            with socket.socket(socket.AF_INET if uri.startswith("tcp") else socket.AF_UNIX) as source:
                source.settimeout(PATIENCE)
                source.connect(("127.0.0.1", int(address.rpartition(":")[2])) if uri.startswith("tcp") else path)
                source.sendall(golden())
                answer = b""
                while len(answer) < 16 and (more := source.recv(64)):
                    answer += more
            out, err = process.communicate(timeout=PATIENCE)
            self.assertEqual(process.returncode, DONE, err)
            self.assertEqual(answer, struct.pack(">HHIHHI", 2, 4, 1, 1, 4, 0))
            self.assertIn("whole", out)

    def test_broken_stream_says_where(self):
        status, out, _ = run("inspect", self.stream(golden()[:4300]))
        self.assertEqual(status, FAILED)
        self.assertIn("machine test", out)
        self.assertRegex(out, r"stopped: .*byte \d+: the stream ends")
        report = self.report(self.stream(golden() + b"more"), status=FAILED)
        self.assertIn("4 bytes after the end", report["error"]["text"])
        self.assertEqual(report["devices"][0]["fields"][0]["value"], 42)

    def test_memory_of_a_broken_stream_is_written(self):
        status, _, _ = run("inspect", self.stream(golden()[:-1]), "--ram", self.path("r"))
        self.assertEqual(status, FAILED)
        self.assertEqual(self.content(self.path("r")), golden_block())

    def test_usage(self):
        for argv in ([], ["tcp:127.0.0.1:0", "b"], ["x", "--block", "r"], ["x", "--max-ram", "lots"], ["x", "--frobnicate"],
                     ["tcp:127.0.0.1:99999"], ["tcp:0.0.0.0:0"]):
            with self.subTest(argv):
                status, out, err = run("inspect", *argv)
                self.assertEqual((status, out), (USAGE, ""), err)
                self.assertIn("try 'ferry inspect --help'", err)

    def test_help_fits_a_screen(self):
        status, out, _ = run("inspect", "--help")
        self.assertEqual(status, DONE)
        self.assertLessEqual(len(out.splitlines()), 40)
        self.assertLessEqual(max(map(len, out.splitlines())), 80)

    def test_what_cannot_be_opened(self):
        for argv in ([self.path("nothing")], [self.stream(golden()), self.path("nothing")], [self.stream(golden()), "--ram", self.path("no/where")],
                     [self.path("stream"), "--json", self.path("no/where")],
                     [self.path("stream"), "--ram", self.path("r"), "--block", "t"]):
            with self.subTest(argv):
                status, _, err = run("inspect", *argv)
                self.assertEqual(status, FAILED)
                self.assertRegex(err, r"^ferry inspect: .+\n$")


if __name__ == "__main__":
    unittest.main(verbosity=2)
