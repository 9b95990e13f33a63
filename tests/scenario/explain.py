# SPDX-License-Identifier: BSD-3-Clause
# explain.py - every code of an error is explained, by name and by number, and docs/errors.md says the same
import os
import re

from ferry import DONE, USAGE, Case, main, run

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ROW = re.compile(r"^  (\d{3})  ([a-z-]+) +(\S.*)$", re.M)


def read(name):
    with open(os.path.join(TOP, name), encoding="utf-8") as f:
        return f.read()


def constants():
    """What the public header has: number by name."""
    found = re.findall(r"^    FERRY_E_(\w+) = (\d+),$", read("include/ferry/codes.h"), re.M)
    return {name.lower().replace("_", "-"): int(number) for name, number in found if number != "0"}


class Explain(Case):
    def said(self, *argv):
        status, out, err = run("explain", *argv)
        self.assertEqual((status, err), (DONE, ""))
        return out

    def test_every_constant_is_listed_and_nothing_else(self):
        listed = {name: int(number) for number, name, _ in ROW.findall(self.said())}
        self.assertGreater(len(listed), 30)
        self.assertEqual(listed, constants())

    def test_each_is_explained_by_name_and_by_number(self):
        for name, number in constants().items():
            with self.subTest(name):
                text = self.said(name)
                self.assertEqual(text, self.said(str(number)))
                self.assertTrue(text.startswith(f"{name} ({number})\n\n"))
                self.assertIn("\n  What to do: ", text)
                self.assertGreaterEqual(len(text.splitlines()), 7)
                self.assertLessEqual(max(map(len, text.splitlines())), 80)
                self.assertEqual([], [line for line in text.splitlines() if line != line.rstrip()])

    def test_what_is_no_code_is_refused(self):
        for word in ("", "0", "999", "ECONNREFUSED", "connection-refused-not"):
            with self.subTest(word):
                status, out, err = run("explain", word)
                self.assertEqual((status, out), (USAGE, ""))
                self.assertIn(f"there is no error '{word}'", err)
                self.assertIn("try 'ferry explain --help'", err)
        self.assertEqual(run("explain", "101", "102")[0], USAGE)
        self.assertEqual(run("explain", "101", "--markdown")[0], USAGE)

    def test_help(self):
        out = self.said("--help")
        self.assertIn("Usage: ferry explain [CODE] [OPTION...]", out)
        self.assertLessEqual(max(map(len, out.splitlines())), 80)

    def test_the_page_is_up_to_date(self):
        self.assertEqual(read("docs/errors.md"), self.said("--markdown"),
                         "make it again: ferry explain --markdown > docs/errors.md")

    def test_every_failure_says_where_it_is_explained(self):
        send = self.send("tcp:127.0.0.1:1", "--connect-timeout", "0", spec="pattern:size=1MiB")
        _, report = send.end()
        error = report["error"]
        self.assertEqual((error["code"], error["number"]), ("connection-refused", 101))
        self.assertEqual((error["object"], error["side"]), ("tcp:127.0.0.1:1", "source"))
        self.assertNotIn("from-peer", error)
        words = send.words().splitlines()
        at = words.index("more: ferry explain connection-refused")
        self.assertEqual(words[at - 2:at], ["ferry send: " + error["text"], "hint: " + error["hint"]])
        self.assertIn("connection-refused (101)", self.said(error["code"]))

    def test_a_broken_stream_is_named_to_the_byte(self):
        path = self.path("noise")
        with open(path, "wb") as f:
            f.write(b"GET / HTTP/1.1\r\n\r\n" * 8)
        recv, _ = self.receive("file:" + path)
        _, report = recv.end()
        error = report["error"]
        self.assertEqual((error["code"], error["number"], error["side"]), ("not-a-stream", 201, "destination"))
        self.assertEqual((error["object"], error["phase"]), ("file:" + path, "setup"))
        self.assertIn(error["offset"], range(0, 9))
        self.assertEqual(error["hint"], "check that both ends use the same address, dialect and encryption; "
                                        "'ferry inspect' looks into a file")


if __name__ == "__main__":
    main()
