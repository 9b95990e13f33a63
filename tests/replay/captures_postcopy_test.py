# SPDX-License-Identifier: BSD-3-Clause
# captures_postcopy_test.py - postcopy of real QEMUs: each step explained, every page once after the switch, each request
# beside its answer, memory as it was
import hashlib
import struct
import unittest

import captures

PAGE = 4096
BITMAP_END = struct.pack(">Q", 0x0123456789abcdef)
# Files of further connections, of return paths; pages that were discarded; requests in each return path
CAPTURES = {
    "postcopy-7.2": (0, 1, 4212, [28]),
    "postcopy-10.0": (0, 1, 132, [23]),
    "postcopy-preempt-10.0": (1, 1, 4212, [28]),
    "postcopy-recover-10.0": (1, 2, 4212, [28, 5]),
}


def bitmap(message):
    """Of pages of pc.ram, in a return path's bytes: where its bits begin, and end."""
    at = message.index(b"\x06pc.ram") + 7
    return at + 8, at + 8 + struct.unpack_from(">Q", message, at)[0]


class Postcopy(unittest.TestCase):
    def load(self, name):
        channels, backs, _, _ = CAPTURES[name]
        return (captures.read(name + ".conn0"), [captures.read(f"{name}.conn{i + 1}") for i in range(channels)],
                [captures.read(f"{name}.conn{i}.rp") for i in range(backs)])

    def whole(self, name):
        stream, channels, back = self.load(name)
        for verbose in ([], ["--verbose"]):
            status, report, memory, said = captures.inspect(stream, *verbose, channels=channels, back=back)
            self.assertEqual((status, report.get("error"), report["notes"], said), (0, None, [], b""))
            self.assertEqual(hashlib.sha256(memory).hexdigest(), captures.digest(name))
            self.assertEqual(report["bytes"], len(stream))
            mains = [stream] + (channels if len(back) > 1 else [])
            for main, data in enumerate(mains):
                end = 0
                for item in (item for item in report["items"] if item.get("main", 0) == main):
                    self.assertEqual(item["offset"], end, item)
                    end += item["size"]
                self.assertEqual(end, len(data))
        return report

    def commands(self, report, main=0):
        return [item["command"] for item in report["items"] if item["type"] == "command"
                and item.get("main", 0) == main]

    def test_each_is_explained(self):
        for name, (_, _, discarded, asked) in CAPTURES.items():
            with self.subTest(name):
                report = self.whole(name)
                about = report["postcopy"]
                again = 36 if "recover" in name else 0
                self.assertEqual(about["discarded"], discarded)
                self.assertEqual((about["pages"], about["again"]), (discarded + again, again))
                self.assertEqual([about[word] for word in ("twice", "unannounced", "awaited")], [0, 0, 0])
                self.assertTrue(about["ended"])
                self.assertEqual((about["package"]["size"], about["package"]["devices"]), (13447, 31))
                wires = about["connections"]
                self.assertEqual(sum(wire["normal"] + wire["duplicate"] for wire in wires), about["pages"])
                packaged = [item for item in report["items"] if item.get("packaged")]
                self.assertEqual(packaged[0]["offset"], about["package"]["offset"])
                self.assertEqual(sum(item["size"] for item in packaged), about["package"]["size"])
                self.assertEqual([item.get("command") for item in (packaged[0], packaged[-2], packaged[-1])],
                                 ["postcopy-listen", "ping", "postcopy-run"])
                switchover = ["switchover-start"] if "10.0" in name else []
                steps = [step for step in self.commands(report) if step != "postcopy-ram-discard"]
                self.assertEqual(steps, ["open-return-path", "ping", "postcopy-advise", *switchover, "ping", "packaged",
                                         "postcopy-listen", "ping", "postcopy-run", "ping"])
                self.requests(report, asked)

    def requests(self, report, asked):
        """Each has an answer: where it came, and as which page after the switch."""
        wires = {wire["source"]: wire for wire in report["postcopy"]["connections"]}
        for back, count in zip(report["return-paths"], asked, strict=True):
            requests = [message for message in back["messages"] if message["type"].startswith("req-pages")]
            self.assertEqual(len(requests), count)
            for request in requests:
                self.assertEqual(request["length"], PAGE)
                answer = request["answer"]
                self.assertEqual(answer["pages"], 1)
                self.assertLessEqual(answer["order"], report["postcopy"]["pages"])
                self.assertLess(answer["offset"], wires[answer["source"]]["bytes"])
        self.assertEqual(report["return-paths"][-1]["messages"][-1], {
            "offset": report["return-paths"][-1]["bytes"] - 8, "type": "shut", "value": 0})

    def test_requested_pages_come_on_the_urgent_connection(self):
        report = self.whole("postcopy-preempt-10.0")
        main, urgent = report["postcopy"]["connections"]
        self.assertEqual([wire["kind"] for wire in (main, urgent)], ["main", "urgent"])
        answers = [message["answer"]["source"] for message in report["return-paths"][0]["messages"]
                   if "answer" in message]
        # The last three the source was just sending on the main connection.
        self.assertEqual(answers, [urgent["source"]] * 25 + [main["source"]] * 3)
        self.assertEqual(urgent["normal"] + urgent["duplicate"], 25)

    def test_requested_pages_come_first(self):
        report = self.whole("postcopy-10.0")
        orders = [message["answer"]["order"] for message in report["return-paths"][0]["messages"]
                  if "answer" in message]
        self.assertEqual(sorted(orders), list(range(1, 24)))

    def test_a_break_is_recovered_from(self):
        report = self.whole("postcopy-recover-10.0")
        first, second = report["postcopy"]["connections"]
        self.assertEqual((first["kind"], first["broke"]), ("main", True))
        self.assertEqual((second["kind"], second["broke"], second["bitmaps"]), ("resumed", False, 6))
        # 14 pages of precopy were never discarded.
        self.assertEqual((second["received"], second["lost"]), (14 + 96 - 36, 36))
        self.assertEqual(self.commands(report, 1), ["recv-bitmap"] * 6 + ["postcopy-resume"])
        self.assertEqual([message["type"] for message in report["return-paths"][1]["messages"][:7]],
                         ["recv-bitmap"] * 6 + ["resume-ack"])

    # ---- what is missing or does not fit --------------------------------------------------------------------------

    def says(self, part, stream, channels=(), back=(), status=1):
        got, report, _, _ = captures.inspect(stream, channels=channels, back=back)
        self.assertEqual(got, status, report.get("error"))
        text = report["error"]["text"] if status else " ".join(report["notes"])
        self.assertIn(part, text)
        return report

    def test_without_its_return_path(self):
        for name in CAPTURES:
            with self.subTest(name):
                stream, channels, _ = self.load(name)
                status, report, memory, _ = captures.inspect(stream, channels=channels)
                self.assertEqual((status, report["notes"]), (0, []))
                self.assertEqual(hashlib.sha256(memory).hexdigest(), captures.digest(name))
                self.assertEqual(report["postcopy"]["asked"], 0)

    def test_a_connection_that_was_not_given(self):
        stream, _, back = self.load("postcopy-preempt-10.0")
        self.says("25 pages are awaited still", stream, back=back)
        stream, _, back = self.load("postcopy-recover-10.0")
        report = self.says("byte 933513: the stream ends here", stream, back=back[:1])
        self.assertIn("has not followed", report["notes"][0])

    def test_a_connection_too_many(self):
        stream, _, _ = self.load("postcopy-10.0")
        _, resumed, _ = self.load("postcopy-recover-10.0")
        _, urgent, _ = self.load("postcopy-preempt-10.0")
        self.says("nothing broke", stream, resumed)
        self.says("does not begin as a page channel does", captures.read("plain-pc-10.0.bin"), urgent)
        report = self.says("pages came twice after the switch", stream, urgent, status=0)
        self.assertEqual(report["postcopy"]["twice"] + report["postcopy"]["unannounced"], 25)

    def test_a_broken_return_path(self):
        stream, channels, back = self.load("postcopy-recover-10.0")
        begin, end = bitmap(back[1])

        def bent(message, *says):
            for part in says:
                self.says(part, stream, channels, [back[0], message])

        bent(back[1][:end] + b"\0" * 8 + back[1][end + 8:], "a bitmap that ends with 0x0000000000000000", "back1")
        bent(back[1][:begin - 8] + b"\xff" * 8 + back[1][begin:], "a bitmap of 18446744073709551615 bytes")
        bent(back[1][:begin - 8] + struct.pack(">Q", 8) + back[1][begin:begin + 8] + BITMAP_END + back[1][end + 8:],
             "recv-bitmap 'pc.ram' with 8 bytes, but 4096 pages take 512")
        self.says("req-pages, but no req-pages-id came before", stream, channels,
                  [back[0][:24] + back[0][47:], back[1]])
        first = struct.pack(">HHQI", 3, 19, 0x1000000, PAGE) + b"\x06pc.ram"
        self.says("back0: byte 24: return path: a request for 4096 bytes at 0x1000000", stream, channels,
                  [back[0][:24] + first + back[0][47:], back[1]])
        self.says("a request for block 'pc.rum'", stream, channels,
                  [back[0].replace(b"pc.ram", b"pc.rum"), back[1]])

    def test_bitmaps_that_say_something_else(self):
        stream, channels, back = self.load("postcopy-recover-10.0")
        begin, end = bitmap(back[1])
        more = back[1][:begin] + b"\xff" * (end - begin) + back[1][end:]
        report = self.says("but never came here", stream, channels, [back[0], more], status=0)
        self.assertEqual(report["postcopy"]["connections"][1]["received"], PAGE)
        self.assertGreater(report["postcopy"]["twice"], 0)
        fewer = back[1][:begin] + b"\0" * (end - begin) + back[1][end:]
        self.says("74 pages are awaited still", stream, channels, [back[0], fewer])

    def test_any_prefix_ends_with_a_sentence(self):
        name = "postcopy-preempt-10.0"
        stream, urgent, back = self.load(name)
        for cut in range(len(stream) // 25, len(stream), len(stream) // 25):
            report = self.says("stdin: byte ", stream[:cut], urgent, back)
            self.assertLessEqual(report["error"]["offset"], cut)
        for cut in range(5, len(urgent[0]), len(urgent[0]) // 10):
            self.says("byte ", stream, [urgent[0][:cut]], back)
        for cut in range(1, len(back[0]), len(back[0]) // 10):
            status, report, _, _ = captures.inspect(stream, channels=urgent, back=[back[0][:cut]])
            text = report["error"]["text"] if status else report["notes"][0]
            self.assertRegex(text, "back0: byte |ping . is not answered")


if __name__ == "__main__":
    captures.need()
    unittest.main(verbosity=2)
