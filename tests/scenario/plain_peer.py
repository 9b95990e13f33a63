# SPDX-License-Identifier: BSD-3-Clause
# plain_peer.py - a destination of the release before the ferry dialect, kept as a peer for tests
#
# It takes what that release took, by the protocol page of its time, and refuses everything else: one plain stream of
# a pattern guest, no hello, no item, no iterative device but memory; OPEN_RETURN_PATH, PING (answered) and
# SWITCHOVER_START; it says SHUT in the end where there is a return path.  It does not run what comes: the stream that
# it took is kept, without the commands, for `ferry recv file:` to check every page of.
import json
import os
import socket
import struct
import threading

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "docs")
PAGE = 4096
EOF, START, PART, END, FULL, VMDESC, CONFIGURATION, COMMAND, FOOTER = 0, 1, 2, 3, 4, 6, 7, 8, 0x7E
ZERO, MEM_SIZE, PAGE_DATA, EOS, CONTINUE = 2, 4, 8, 0x10, 0x20
OPEN_RETURN_PATH, PING, SWITCHOVER_START = 1, 2, 11
SHUT, PONG = 1, 2
FIELD_BYTES = {"bool": 1, "uint8": 1, "uint32": 4, "uint64": 8, "int64": 8}


class Refused(Exception):
    """It is not what that release understood."""


def pattern_fields():
    """The device "pattern" in version 1, as (bytes, whether as many as the number before it)."""
    with open(os.path.join(DOCS, "schema-pattern.json"), encoding="utf-8") as f:
        part = json.load(f)["devices"][0]["forms"][0][0]
    assert (part["name"], part["version"]) == ("pattern", 1)
    return [(FIELD_BYTES[field["kind"]], "count" in field) for field in part["fields"]]


class PlainPeer(threading.Thread):
    """Serves one connection; then .refusal says what it did not like (None: nothing), .stream is what it took."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "tcp:127.0.0.1:%d" % self.listener.getsockname()[1]
        self.refusal, self.stream = None, bytearray()
        self.pings, self.pages, self.answers = 0, 0, False

    def run(self):
        with self.listener, self.listener.accept()[0] as connection:
            self.listener.close()
            self.connection, self.source = connection, connection.makefile("rb")
            try:
                self.take_stream()
            except Refused as why:
                self.refusal = str(why)
                if self.answers:
                    self.answer(SHUT, struct.pack(">I", 1))
            except OSError as why:
                self.refusal = str(why)
            self.source.close()

    def answer(self, kind, payload):
        self.connection.sendall(struct.pack(">HH", kind, len(payload)) + payload)

    def take(self, count, keep=True):
        data = self.source.read(count)
        if len(data) < count:
            raise Refused("the stream ended early")
        if keep:
            self.stream += data
        return data

    def number(self, form):
        return struct.unpack(">" + form, self.take(struct.calcsize(form)))[0]

    def name(self):
        return self.take(self.number("B")).decode()

    def need(self, holds, what):
        if not holds:
            raise Refused(what)

    def take_stream(self):
        magic = self.take(4)
        self.need(magic == b"QEVM", f"this is not a migration stream: it begins with {magic.hex()} instead of \"QEVM\"")
        self.need(self.number("I") == 3, "another version of the stream")
        self.need(self.number("B") == CONFIGURATION, "no configuration")
        self.need(self.take(self.number("I")) == b"ferry-pattern", "another machine")
        self.ram, self.ended, self.devices = None, False, []
        self.blocks, self.block = {}, None  # the block of the last page, of whatever section
        while (kind := self.take(1, keep=False)[0]) != EOF:
            if kind == COMMAND:
                self.take_command()
                continue
            self.stream.append(kind)
            self.take_section(kind)
        self.stream.append(EOF)
        self.need(self.ended, "memory did not come to its end")
        self.need(self.devices == ["pattern"], "a device has got no state")
        self.need(self.number("B") == VMDESC, "no description")
        json.loads(self.take(self.number("I")))
        if self.answers:
            self.answer(SHUT, struct.pack(">I", 0))
        self.need(self.source.read(1) == b"", "more comes after the end")

    def take_command(self):
        command, length = struct.unpack(">HH", self.take(4, keep=False))
        payload = self.take(length, keep=False)
        if command == OPEN_RETURN_PATH:
            self.answers = True
        elif command == PING:
            self.pings += 1
            self.answer(PONG, payload)
        else:
            self.need(command == SWITCHOVER_START, f"command {command} is not understood")

    def take_section(self, kind):
        self.need(kind in (START, PART, END, FULL), f"section of type {kind:#x}")
        number = self.number("I")
        if kind in (START, FULL):
            idstr, instance, version = self.name(), self.number("I"), self.number("I")
        if kind == FULL:
            self.need((idstr, instance, version) == ("pattern", 0, 1), f"device '{idstr}'")
            self.take_device()
            self.devices.append(idstr)
        else:
            if kind == START:
                self.need((idstr, instance, version) == ("ram", 0, 4) and self.ram is None, f"section '{idstr}'")
                self.ram = number
            self.need(number == self.ram and not self.ended, f"section {number}")
            self.take_records()
            self.ended = kind == END
        self.need(self.number("B") == FOOTER and self.number("I") == number, "no footer where it must be")

    def take_device(self):
        value = 0
        for count, many in pattern_fields():
            data = self.take(count * (value if many else 1))
            value = int.from_bytes(data, "big")

    def take_records(self):
        while (record := self.number("Q")) & (PAGE - 1) != EOS:
            offset, flags = record & ~(PAGE - 1), record & (PAGE - 1)
            if flags == MEM_SIZE:
                while sum(self.blocks.values()) < offset:
                    name = self.name()
                    self.blocks[name] = self.number("Q")
                continue
            self.need(flags & ~CONTINUE in (ZERO, PAGE_DATA), f"a record with the flags {flags:#x}")
            if not flags & CONTINUE:
                self.block = self.name()
            self.need(offset < self.blocks.get(self.block, 0), f"page {offset:#x} of block '{self.block}'")
            self.need(flags & PAGE_DATA or self.number("B") == 0, "a page filled with something")
            if flags & PAGE_DATA:
                self.take(PAGE)
            self.pages += 1
