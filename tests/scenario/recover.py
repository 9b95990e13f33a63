# SPDX-License-Identifier: BSD-3-Clause
# recover.py - two journals in, who may run the guest out
import fcntl
import os
import struct

from ferry import DONE, UNCERTAIN, USAGE, Case, main, run

SESSION, TOKEN = b"S" * 16, b"T" * 16
SOURCE = ("started", "prepared", "committed", "done", "aborted")
DESTINATION = ("started", "ready", "committed", "running", "aborted")
WAYS = {1: (1,), 2: (1, 2), 3: (1, 2, 3), 4: (1, 2, 3, 4), 5: (1, 2, 5)}
EMPTY = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def sealed(record):
    record = record.ljust(56, b"\0")
    return record + struct.pack(">I", crc32c(record)) + b"NOTE"


def journal(role, step, session=SESSION, token=TOKEN):
    """The bytes, made by what docs/switchover.md says alone."""
    records = [sealed(struct.pack(">8sHHI16s", b"FERRYJNL", 1, role, 0, session))]
    for number, note in enumerate(WAYS[step], 1):
        records.append(sealed(struct.pack(">HH12x16s16s", note, number, session, token if note > 1 else b"")))
    return b"".join(records).ljust(512, b"\0")


def notes_in(content):
    """How many notes there are."""
    return sum(content[at:at + 2] != b"\0\0" for at in range(64, 512, 64))


class Recover(Case):
    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as f:
            f.write(content)
        return path

    def ask(self, source=None, destination=None):
        argv = []
        if source is not None:
            argv += ["--source-journal", self.file("source", source)]
        if destination is not None:
            argv += ["--destination-journal", self.file("destination", destination)]
        return run("recover", *argv)

    def assert_owner(self, owner, answer):
        status, out, err = answer
        self.assertEqual((status, err), (DONE, ""), out)
        self.assertTrue(out.startswith(f"the {owner} may run the guest, the "), out)

    def assert_unknown(self, check, answer):
        status, out, err = answer
        self.assertEqual((status, err), (UNCERTAIN, ""), out)
        self.assertTrue(out.startswith("nobody here can know"), out)
        self.assertRegex(out, f"(?m)^check: .*{check}")

    def test_the_commit_decides(self):
        self.assert_owner("source", self.ask(journal(1, 2), journal(2, 2)))
        self.assert_owner("destination", self.ask(journal(1, 3), journal(2, 2)))
        self.assert_owner("destination", self.ask(journal(1, 4), journal(2, 4)))
        self.assert_owner("source", self.ask(journal(1, 3), journal(2, 5)))

    def test_both_journals_are_shown(self):
        _, out, _ = self.ask(journal(1, 3), journal(2, 2))
        self.assertIn("\nsource: committed, session 5353", out)
        self.assertIn("\ndestination: ready, session 5353", out)

    def test_one_side_alone(self):
        self.assert_owner("source", self.ask(source=journal(1, 2)))
        self.assert_owner("destination", self.ask(destination=journal(2, 3)))
        self.assert_unknown("the destination's journal", self.ask(source=journal(1, 3)))
        self.assert_unknown("the source's journal", self.ask(destination=journal(2, 2)))

    def test_what_does_not_belong_together(self):
        for stranger in (journal(2, 2, session=b"s" * 16), journal(2, 2, token=b"t" * 16), journal(2, 1)):
            self.assert_unknown("two files", self.ask(journal(1, 3), stranger))

    def test_a_torn_note_was_never_made(self):
        torn = bytearray(journal(1, 3))
        torn[4 * 64 - 5:4 * 64] = bytes(5)
        answer = self.ask(torn, journal(2, 2))
        self.assert_owner("source", answer)
        self.assertIn("a later note was cut off", answer[1])

    def test_a_damaged_journal_tells_nothing(self):
        damaged = bytearray(journal(1, 3))
        damaged[3 * 64 + 1] ^= 1
        answer = self.ask(damaged, journal(2, 2))
        self.assert_unknown("the source's journal", answer)
        self.assertIn("note 3 of the journal is damaged", answer[1])
        self.assert_unknown("the source's journal", self.ask(b"", journal(2, 2)))
        self.assert_owner("destination", self.ask(damaged, journal(2, 4)))

    def test_a_living_session(self):
        path = self.file("held", journal(1, 2))
        with open(path, "r+b") as held:
            fcntl.fcntl(held, fcntl.F_OFD_SETLK, EMPTY)
            answer = run("recover", "--source-journal", path)
            self.assert_unknown("that process", answer)
            self.assertIn("its process lives", answer[1])
        self.assert_owner("source", run("recover", "--source-journal", path))

    def test_usage(self):
        good = self.file("good", journal(1, 2))
        for argv, says in (((), "needed"), (("--source-journal", good + "-not"), "No such file"),
                           (("--destination-journal", good), "the other side"),
                           (("--source-journal", self.folder), "not a regular file")):
            status, out, err = run("recover", *argv)
            self.assertEqual((status, out), (USAGE, ""), err)
            self.assertIn(says, err)

    def settle(self, side, source=None, destination=None, *more):
        argv = ["--settle", side, *more]
        if source is not None:
            argv += ["--source-journal", self.file("source", source)]
        if destination is not None:
            argv += ["--destination-journal", self.file("destination", destination)]
        answer = run("recover", *argv)
        with open(os.path.join(self.folder, side), "rb") as f:
            return answer, f.read()

    def test_what_is_decided_is_noted(self):
        for side, source, destination, after in (
                ("source", 1, None, 5), ("source", 2, 2, 5), ("source", 3, 5, 5), ("source", 3, 4, 4),
                ("source", 3, 2, 3), ("source", 4, 4, 4), ("source", 5, 2, 5), ("destination", None, 1, 5),
                ("destination", 2, 2, 5), ("destination", 5, 2, 5), ("destination", 3, 2, 3), ("destination", 4, 3, 3),
                ("destination", None, 3, 3), ("destination", 3, 5, 5)):
            source = source and journal(1, source)
            destination = destination and journal(2, destination)
            before = source if side == "source" else destination
            (status, out, err), noted = self.settle(side, source, destination)
            self.assertEqual((status, err), (DONE, ""), out)
            names = SOURCE if side == "source" else DESTINATION
            step, = struct.unpack_from(">H", noted, 64 * notes_in(noted))
            self.assertEqual(names[step - 1], names[after - 1], out)
            self.assertEqual("noted: " + names[after - 1] in out, noted != before)
            self.assertEqual(len(noted), 512)

    def test_what_is_not_decided_is_not_noted(self):
        for side, source, destination in (("source", 3, None), ("destination", None, 2)):
            before = journal(1, source) if source else journal(2, destination)
            answer, after = self.settle(side, source and journal(1, source), destination and journal(2, destination))
            self.assertEqual(answer[0], UNCERTAIN)
            self.assertEqual(after, before)

    def test_a_ready_destination_gives_up_when_told(self):
        answer, after = self.settle("destination", journal(1, 3), journal(2, 2), "--give-up")
        self.assert_owner("source", answer)
        self.assertEqual(notes_in(after), 3)
        answer, after = self.settle("destination", journal(1, 3), journal(2, 3), "--give-up")
        self.assert_owner("destination", answer)
        self.assertEqual(after, journal(2, 3))

    def test_a_journal_that_is_held_is_not_settled(self):
        path = self.file("held", journal(1, 2))
        with open(path, "r+b") as held:
            fcntl.fcntl(held, fcntl.F_OFD_SETLK, EMPTY)
            status, out, err = run("recover", "--settle", "source", "--source-journal", path)
        self.assertEqual((status, out), (UNCERTAIN, ""))
        self.assertIn("another process has this journal", err)
        with open(path, "rb") as f:
            self.assertEqual(f.read(), journal(1, 2))

    def test_settle_usage(self):
        good = self.file("good", journal(1, 2))
        for argv, says in ((("--settle", "both"), "neither source nor destination"),
                           (("--settle", "destination"), "--destination-journal FILE is missing"),
                           (("--settle", "source", "--give-up"), "--give-up is for")):
            status, out, err = run("recover", "--source-journal", good, *argv)
            self.assertEqual((status, out), (USAGE, ""), err)
            self.assertIn(says, err)

    def test_nothing_is_changed(self):
        self.ask(journal(1, 3), journal(2, 2))
        with open(os.path.join(self.folder, "source"), "rb") as f:
            self.assertEqual(f.read(), journal(1, 3))


if __name__ == "__main__":
    main()
