# SPDX-License-Identifier: BSD-3-Clause
# usage.py - what cannot be done is refused with status 2, in a sentence that says where help is
import os

from ferry import DONE, USAGE, Case, main, run

PATTERN = ("--guest", "pattern:size=1MiB")


class Usage(Case):
    def refused(self, *argv, says, help_of=None):
        status, out, err = run(*argv)
        self.assertEqual((status, out), (USAGE, ""), err)
        self.assertIn(says, err)
        self.assertIn(f"try 'ferry {help_of} --help'" if help_of else "try 'ferry --help'", err)
        self.assertLessEqual(len(err.splitlines()), 4, err)

    def test_help_fits_a_screen(self):
        for argv in (["--help"], ["help"], ["demo", "--help"], ["send", "--help"], ["recv", "-h"], ["recover", "--help"]):
            with self.subTest(argv):
                status, out, err = run(*argv)
                lines = out.splitlines()
                self.assertEqual((status, err), (DONE, ""))
                self.assertLessEqual(len(lines), 46)
                self.assertLessEqual(max(map(len, lines)), 80)
                self.assertTrue("Examples:" in out or argv[0] in ("--help", "help"))

    def test_version(self):
        status, out, _ = run("--version")
        self.assertEqual(status, DONE)
        self.assertRegex(out, r"^ferry \d+\.\d+\.\d+\n$")

    def test_no_command(self):
        status, out, err = run()
        self.assertEqual((status, out), (USAGE, ""))
        self.assertIn("Usage: ferry COMMAND", err)

    def test_unknown_words(self):
        self.refused("teleport", says="unknown command 'teleport'")
        self.refused("--frobnicate", says="unknown option '--frobnicate'")
        for command in ("demo", "send", "recv"):
            self.refused(command, "--frobnicate", says="unknown option '--frobnicate'", help_of=command)
        self.refused("demo", "tcp:127.0.0.1:1", says="one word too many", help_of="demo")
        self.refused("send", "tcp:127.0.0.1:1", "tcp:127.0.0.1:2", *PATTERN, says="one word too many", help_of="send")

    def test_missing_words(self):
        self.refused("send", *PATTERN, says="the URI is missing", help_of="send")
        self.refused("send", "tcp:127.0.0.1:1", says="--guest SPEC is missing", help_of="send")
        self.refused("recv", "tcp:127.0.0.1:0", says="--guest KIND is missing", help_of="recv")
        self.refused("send", "tcp:127.0.0.1:1", "--guest", says="--guest needs a value", help_of="send")

    def test_bad_uris(self):
        for uri in ("nonsense", "tcp:127.0.0.1", "tcp:127.0.0.1:99999", "gopher:x", "fd:x", "vsock:1"):
            with self.subTest(uri):
                self.refused("send", uri, *PATTERN, says=uri, help_of="send")
                self.refused("recv", uri, "--guest", "pattern", says=uri, help_of="recv")

    def test_bad_guests(self):
        for spec, says in (("unicorn:size=1MiB", "unicorn"), ("pattern:colour=red", "colour"),
                           ("pattern:size=much", "much"), ("pattern:size=1MiB,zero=200%", "200%"),
                           ("pattern:size=1.5", "unit")):
            with self.subTest(spec):
                self.refused("send", "tcp:127.0.0.1:1", "--guest", spec, says=says, help_of="send")
        self.refused("recv", "tcp:127.0.0.1:0", "--guest", "unicorn", says="unicorn", help_of="recv")

    def test_numbers_need_units(self):
        for option, value in (("max-bandwidth", "1.5"), ("max-bandwidth", "0"), ("downtime-limit", "soon"),
                              ("tracker", "magic"), ("prefault", "perhaps"), ("give-up-after", "-1")):
            with self.subTest(option):
                for command in (("send", "tcp:127.0.0.1:1", *PATTERN), ("demo",)):
                    self.refused(*command, f"--{option}", value, says=option, help_of=command[0])
        self.refused("recv", "tcp:127.0.0.1:0", "--guest", "pattern", "--run-on", "1.5", says="--run-on",
                     help_of="recv")
        self.refused("demo", "--via", "pigeon", says="pigeon", help_of="demo")
        self.refused("demo", "--log", "loud", says="--log", help_of="demo")
        self.refused("send", "tcp:127.0.0.1:1", *PATTERN, "--log", "loud", says="loud", help_of="send")

    def test_a_report_that_cannot_be_written(self):
        path = os.path.join(self.folder, "no", "such", "folder")
        for command in (("send", "tcp:127.0.0.1:1", *PATTERN), ("demo",)):
            self.refused(*command, "--json", path, says="No such file", help_of=command[0])

    def test_demo_of_a_bad_guest(self):
        status, out, err = run("demo", "--guest", "pattern:colour=red")
        self.assertEqual((status, out), (USAGE, ""), err)
        self.assertIn("colour", err)

    def test_open_to_the_network_only_when_asked(self):
        for uri in ("tcp::0", "tcp:0.0.0.0:0", "tcp:[::]:0"):
            with self.subTest(uri):
                self.refused("recv", uri, "--guest", "pattern", says="can be reached from other machines",
                             help_of="recv")
        recv, address = self.receive("tcp:0.0.0.0:0", "--insecure")
        self.assertRegex(address, r"^tcp:0\.0\.0\.0:[1-9]")
        self.assert_done(self.send("tcp:127.0.0.1:" + address.rsplit(":", 1)[1], spec="pattern:size=1MiB"))
        self.assert_done(recv)


if __name__ == "__main__":
    main()
