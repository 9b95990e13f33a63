# SPDX-License-Identifier: BSD-3-Clause
# schema.py - a schema is printed and compared; what the guests put on the wire is what docs/schema-*.json say
import copy
import glob
import json
import os
import tempfile

from ferry import DONE, FAILED, USAGE, Case, main, run

DOCS = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), "docs")


class Schema(Case):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        status, out, err = run("schema", "--guest", "pattern", "--json")
        self.assertEqual((status, err), (DONE, ""))
        self.schema = json.loads(out)

    def write(self, name, schema):
        path = os.path.join(self.folder.name, name)
        with open(path, "w", encoding="utf-8") as f:
            f.write(schema if isinstance(schema, str) else json.dumps(schema))
        return path

    def compare(self, old, new):
        return run("schema", "--compare", self.write("a.json", old), self.write("b.json", new))

    def changed(self, change):
        schema = copy.deepcopy(self.schema)
        change(schema["devices"][0]["forms"][0][0])
        return schema

    def test_the_wire_is_what_was_agreed(self):
        """A change here breaks migrations between releases: it needs a new version, and then a new file."""
        files = glob.glob(os.path.join(DOCS, "schema-*.json"))
        self.assertTrue(files)
        for path in files:
            kind = os.path.basename(path)[len("schema-"):-len(".json")]
            with self.subTest(kind), open(path, encoding="utf-8") as f:
                status, out, err = run("schema", "--guest", kind, "--json")
                if status != DONE and kind != "pattern":
                    self.skipTest(err.strip())
                self.assertEqual(out, f.read(), f"if this is meant: ferry schema --guest {kind} --json > {path}")

    def test_words(self):
        status, out, err = run("schema", "--guest", "pattern:size=1MiB,untouched=2MiB")
        self.assertEqual((status, err), (DONE, ""))
        self.assertIn("block pattern.ram: 1048576 bytes, pages of 4096\n", out)
        self.assertIn("block pattern.untouched: 2097152 bytes", out)
        self.assertRegex(out, r"writes\[\] +uint64 x up to \d+\n")

    def test_a_schema_fits_itself(self):
        status, out, _ = self.compare(self.schema, self.schema)
        self.assertEqual(status, DONE)
        self.assertIn("same          pattern: heart.beats\n", out)
        self.assertTrue(out.endswith("A can migrate to B\n"))
        for line in out.splitlines()[1:-1]:
            self.assertTrue(line.startswith(("  same ", "device ")), line)

    def test_blocks_come_back(self):
        _, out, _ = run("schema", "--guest", "pattern:size=1MiB", "--json")
        schema = json.loads(out)
        self.assertEqual(schema["blocks"], [{"name": "pattern.ram", "length": 1 << 20, "page-size": 4096,
                                             "private": True}])
        other = copy.deepcopy(schema)
        other["blocks"][0]["length"] = 2 << 20
        status, out, _ = self.compare(schema, other)
        self.assertEqual(status, FAILED)
        self.assertIn("refused: block 'pattern.ram': 1048576 bytes at the source, 2097152 here\n", out)

    def test_a_newer_field_is_no_harm(self):
        def change(part):
            part["version"] = 2
            part["fields"].append({"path": "colour", "kind": "uint8", "version": 2})
        status, out, _ = self.compare(self.schema, self.changed(change))
        self.assertEqual(status, DONE)
        self.assertIn("  newer         pattern: colour: from version 2 on\n", out)
        # The way back: that version is not known there.
        status, out, _ = self.compare(self.changed(change), self.schema)
        self.assertEqual(status, FAILED)
        self.assertIn("version 2 at the source, which is too new", out)

    def test_a_changed_field_is_refused(self):
        def widen(part):
            part["fields"][0]["kind"] = "uint32"

        def drop(part):
            del part["fields"][3]
        for change, says in ((widen, "uint64 at the source, uint32 here"),
                             (drop, "pattern: spec.seed: sent by the source, not known here")):
            with self.subTest(says):
                status, out, _ = self.compare(self.schema, self.changed(change))
                self.assertEqual(status, FAILED)
                self.assertIn(says, out)
                self.assertTrue(out.endswith("A cannot migrate to B\n"))

    def test_bad_files(self):
        good = self.write("good.json", self.schema)
        broken = copy.deepcopy(self.schema)
        del broken["devices"][0]["forms"]
        for text, says in (("{", "line 1"), ("{}", "not a schema"), ("[]", "not a schema"), (broken, "'forms'"),
                           ({**self.schema, "devices": [7]}, "'name'")):
            bad = self.write("bad.json", text)
            for pair in ((bad, good), (good, bad)):
                status, out, err = run("schema", "--compare", *pair)
                self.assertEqual((status, out), (FAILED, ""))
                self.assertIn("bad.json", err)
                self.assertIn(says, err)
        status, _, err = run("schema", "--compare", good, os.path.join(self.folder.name, "none"))
        self.assertEqual(status, FAILED)
        self.assertIn("none", err)

    def test_usage(self):
        for argv, says in (((), "--guest SPEC"), (("--guest", "unicorn"), "unicorn"), (("--compare", "a"), "two files"),
                           (("--guest", "pattern", "b"), "one word too many"),
                           (("--guest", "pattern", "--compare", "a", "b"), "--guest SPEC")):
            status, out, err = run("schema", *argv)
            self.assertEqual((status, out), (USAGE, ""), argv)
            self.assertIn(says, err)
            self.assertIn("try 'ferry schema --help'", err)
        status, out, err = run("schema", "--help")
        self.assertEqual((status, err), (DONE, ""))
        self.assertLessEqual(max(map(len, out.splitlines())), 80)


if __name__ == "__main__":
    main()
