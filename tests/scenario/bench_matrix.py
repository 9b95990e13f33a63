# SPDX-License-Identifier: BSD-3-Clause
# bench_matrix.py - `ferry bench`: a matrix runs, is killed in the middle and resumed, and its page has what it promises
import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import unittest
from html.parser import HTMLParser

from ferry import DONE, FAILED, FERRY, PATIENCE, USAGE, Case, missing, run

SMALL = ("size=8MiB", "--ceiling", "50ms", "--warm-up", "0", "--plan", "0")
POINT = {"status", "ram", "now", "duration", "downtime", "downtime_expected", "setup_time", "throttle_pcent"}
RAM = {"transferred_bytes", "remaining_bytes", "total_bytes", "duplicate_pages", "skipped_pages", "normal_pages",
       "normal_bytes", "dirty_rate_pps", "transfer_rate_mbs", "iterations"}
VOID = {"meta", "path", "rect"}


# Appended to a page, which a frame shows: what does not fit, and texts of a plot that lie on one another.
LOOK = """<script>addEventListener("load", () => {
  const bad = [], width = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth > width) bad.push("wider than " + width);
  for (const figure of document.querySelectorAll("figure")) {
    const name = figure.querySelector("b").textContent, svg = figure.querySelector("svg");
    const texts = svg ? [...svg.querySelectorAll("text")] : [];
    if (!figure.querySelector("b").getBoundingClientRect().height) bad.push(name + ": no title");
    if (!figure.querySelector("table tr:nth-child(2)")) bad.push(name + ": no numbers");
    const boxes = texts.map(text => text.getBoundingClientRect()), frame = svg && svg.getBoundingClientRect();
    boxes.forEach((a, i) => {
      if (a.left < frame.left - 1 || a.right > frame.right + 1 || a.bottom > frame.bottom + 1)
        bad.push(name + ": '" + texts[i].textContent + "' is cut off");
      boxes.slice(i + 1).forEach((b, k) => {
        if (Math.min(a.right, b.right) - Math.max(a.left, b.left) > 1 &&
            Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top) > 3)
          bad.push(name + ": '" + texts[i].textContent + "' and '" + texts[i + 1 + k].textContent + "' overlap");
      });
    });
  }
  parent.postMessage({width: innerWidth, figures: document.querySelectorAll("figure").length, bad}, "*");
});</script>"""
FRAMES = """<body><iframe src="look.html" width="1280" height="2000"></iframe><iframe src="look.html" width="400"
height="2000"></iframe><p id="found"></p><script>const all = []; onmessage = event => { all.push(event.data);
found.textContent = "FOUND" + JSON.stringify(all) + "END"; };</script></body>"""


class Page(HTMLParser):
    """Counts elements, and refuses what is not closed in its order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.loads, self.words = [], {}, [], []
        self.feed(text)
        self.close()
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1
        self.loads += [value for name, value in attributes if name in ("src", "href")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen[tag] = self.seen.get(tag, 0) + 1

    def handle_endtag(self, tag):
        while self.open and self.open[-1] != tag and self.open[-1] in ("td", "th", "tr"):
            self.open.pop()
        assert self.open and self.open.pop() == tag, tag

    def handle_data(self, data):
        self.words.append(data)


class Bench(Case):
    def setUp(self):
        super().setUp()
        self.file = self.path("b.jsonl")

    def lines(self):
        with open(self.file, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def page(self):
        with open(self.path("b.html"), encoding="utf-8") as file:
            return file.read()

    def bench(self, *argv):
        return run("bench", *argv, "--json", self.file)

    def runs(self):
        return sorted((line["row"], line["run"]) for line in self.lines()[1:])

    def test_a_matrix_gives_a_table_lines_and_a_page(self):
        status, out, err = self.bench("--local", *SMALL, "channels=0,2", "tls=off,on", "--repetitions", "2")
        self.assertEqual(status, DONE, err)
        self.assertEqual(self.runs(), [(row, run) for row in range(4) for run in range(2)])
        for line in self.lines()[1:]:
            self.assertEqual(line["status"], "completed")
            verify = line["destination"]["verify"]
            self.assertEqual((verify["mismatched"], verify["lost-writes"]), (0, 0))
            self.assertGreater(line["ceiling"]["one"], 0)
            self.assertGreater(line["ceiling"]["streams"], 0)
            self.assertEqual("cipher" in line["ceiling"], line["settings"]["tls"] == "on")
            self.assertEqual("tls" in line["source"]["channels"][0], line["settings"]["tls"] == "on")
            self.assertEqual(len(line["source"]["channels"]), 1 + int(line["settings"]["channels"]))
            self.assertGreater(len(line["rounds"]), 0)
            for point in line["progress_history"]:
                self.assertEqual((set(point), set(point["ram"])), (POINT, RAM))
        self.assertEqual(len(re.findall(r"^channels=[02] tls=o\S+ ", out, re.M)), 4, out)
        page = Page(self.page())
        self.assertEqual(page.loads, [])
        self.assertNotIn("script", page.seen)
        self.assertEqual(page.seen["svg"], 4 + 4)  # of all rows, and of each row
        self.assertEqual(page.seen["details"], page.seen["figure"])
        self.assertNotRegex(self.page(), r"\b(nan|inf)\b")

    def test_each_run_is_predicted_and_how_far_off_that_was_is_told(self):
        status, out, err = self.bench("--local", "size=8MiB", "dirty=1MiB/s", "channels=0", "--ceiling", "50ms",
                                      "--warm-up", "0", "--plan", "20ms", "--repetitions", "1")
        self.assertEqual(status, DONE, err)
        run_ = self.lines()[1]
        prediction = run_["prediction"]
        self.assertEqual((run_["plan"]["plan"], prediction["go"], prediction["held"]), ("go", True, True))
        self.assertLessEqual(run_["plan"]["bytes-per-second"], run_["ceiling"]["streams"] * 1.001)
        for name, took in ("total-time", run_["source"]["total-time-us"] / 1000), ("blackout", None):
            one = prediction[name]
            self.assertGreater(one["predicted"], 0)
            self.assertAlmostEqual(one["measured"], took or run_["destination"]["guest-blackout"], 3)
            self.assertAlmostEqual(one["error-percent"], (one["predicted"] / one["measured"] - 1) * 100, 3)
        self.assertEqual(prediction["rounds"]["measured"], run_["source"]["ram"]["dirty-sync-count"] - 1)
        self.assertIn("predicted just before", out)
        page = Page(self.page())
        self.assertEqual(page.seen["svg"], 5 + 1)
        self.assertIn("Predicted just before", page.words)

    def recorded(self, path):
        """The pages of each interval, and where each block begins."""
        with open(path, encoding="utf-8") as file:
            head, *lines = [json.loads(line) for line in file]
        base, blocks = 0, {}
        for block in head["blocks"]:
            blocks[block["name"]] = base
            base += block["pages"]
        self.assertEqual((head["ferry-dirty-trace"], head["pages"]), (1, base))
        pairs = [(line["pages"][0::2], line["pages"][1::2]) for line in lines]
        return [{page for first, count in zip(*pair) for page in range(first, first + count)} for pair in pairs], blocks, head

    def test_a_trace_is_replayed_and_recorded_again(self):
        steps, each = 40, 10
        with open(self.path("one"), "w", encoding="utf-8") as file:
            print(json.dumps({"ferry-dirty-trace": 1, "page-bytes": 4096, "pages": 512}), file=file)
            for i in range(steps):
                print(json.dumps({"until-us": (i + 1) * 20000, "pages": [each * i, each]}), file=file)
        status, _, err = run("bench", "--record-dirty", f"pattern:trace={self.path('one')}", "--record-to",
                             self.path("two"), "--for", "400ms", "--interval", "40ms")
        self.assertEqual(status, DONE, err)
        intervals, _, _ = self.recorded(self.path("two"))
        self.assertTrue(any(intervals))
        for pages in intervals:
            # One stretch of the trace, which begins again behind its end.
            reached = sorted({page // each for page in pages})
            gaps = sum(b - a > 1 for a, b in zip(reached, reached[1:]))
            self.assertLessEqual(gaps, int(reached[:1] == [0]), reached)
            self.assertLess(max(pages, default=0), steps * each)
        status, _, err = self.bench("--local", f"trace={self.path('two')}", "--repetitions", "1", *SMALL[1:])
        self.assertEqual(status, DONE, err)
        self.assertEqual(self.lines()[1]["destination"]["verify"]["lost-writes"], 0)

    def test_writes_of_another_process(self):
        written = {3, 5, *range(40, 50)}
        program = ("import mmap, os, sys, time\n"
                   "fd = os.memfd_create('ours')\nos.ftruncate(fd, 64 * 4096)\nm = mmap.mmap(fd, 64 * 4096)\n"
                   "print('ready', flush=True)\nn = 0\n"
                   "while os.getppid() == int(sys.argv[1]) and not os.path.exists(sys.argv[2]):\n"
                   f"    n += 1\n    for page in {written}: m[page * 4096] = n & 255\n"
                   "    began = time.monotonic()\n    time.sleep(0.005)\n    assert time.monotonic() - began >= 0.005\n")
        writer = subprocess.Popen([sys.executable, "-c", program, str(os.getpid()), self.path("end")],
                                  stdout=subprocess.PIPE, text=True)
        self.addCleanup(writer.stdout.close)
        self.addCleanup(writer.kill)
        self.assertEqual(writer.stdout.readline(), "ready\n")
        for way in "compare", "watch":
            if way == "watch" and missing("wp-async"):
                continue
            with self.subTest(way):
                status, out, err = run("bench", "--record-dirty", str(writer.pid), "--record-to", self.path(way),
                                       "--for", "300ms", "--interval", "100ms", "--way", way)
                self.assertEqual(status, DONE, err)
                intervals, blocks, head = self.recorded(self.path(way))
                base = next(first for name, first in blocks.items() if name.startswith("memfd:ours"))
                self.assertEqual({page - base for pages in intervals for page in pages if base <= page < base + 64},
                                 written)
                self.assertEqual(head["way"], {"watch": "uffd-async"}.get(way, way))
                self.assertIn({"watch": "the kernel notes", "compare": "read and compared"}[way], out)
        with open(self.path("end"), "w", encoding="utf-8"):
            pass
        self.assertEqual(writer.wait(PATIENCE), 0)  # it was not disturbed

    def test_what_cannot_be_recorded_is_refused(self):
        for argv, word in (("0", "no process"), ("pattern:size=much", "much"), ("pattern:trace=/nowhere", "/nowhere")):
            status, _, err = run("bench", "--record-dirty", argv, "--record-to", self.path("t"))
            self.assertNotEqual(status, DONE)
            self.assertIn(word, err)
        status, _, err = run("bench", "--record-dirty", str(2**31 - 2), "--record-to", self.path("t"))
        self.assertEqual(status, FAILED, err)

    def test_rows_are_shuffled_the_same_way_for_the_same_seed(self):
        orders = []
        for seed in "1", "1", "2":
            status, _, err = self.bench("--local", *SMALL, "zero=0%,10%,20%,30%,40%,50%", "--repetitions", "1", "--seed",
                                        seed, "--ceiling", "0")
            self.assertEqual(status, DONE, err)
            orders.append([line["row"] for line in self.lines()[1:]])
            os.remove(self.file)
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])
        self.assertEqual(sorted(orders[0]), sorted(orders[2]))

    def killed(self, number):
        """A bench that has done two runs at least, but not all, when it is killed."""
        bench = subprocess.Popen([FERRY, "bench", "--local", *SMALL, "channels=0,1,2,3", "--repetitions", "50", "--json",
                                  self.file], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                 stderr=subprocess.PIPE, text=True)
        self.addCleanup(bench.stderr.close)
        for _ in range(2):
            self.assertIn("run ", bench.stderr.readline())
        bench.send_signal(number)
        words = bench.stderr.read()
        return bench.wait(PATIENCE), words

    def test_killed_in_the_middle_and_resumed(self):
        self.assertEqual(self.killed(signal.SIGKILL)[0], -signal.SIGKILL)
        before = self.runs()
        self.assertGreaterEqual(len(before), 2)
        with open(self.file, "a", encoding="utf-8") as file:
            file.write('{"row": 0, "half')
        status, _, err = run("bench", "--resume", self.file, "--time-limit", "500ms")
        self.assertEqual(status, DONE, err)
        self.assertIn("the time is over", err)
        after = self.runs()
        self.assertEqual(len(set(after)), len(after))
        self.assertLess(set(before), set(after))
        self.assertTrue(self.page())

    def test_interrupted_it_keeps_what_is_done_and_says_how_to_go_on(self):
        status, words = self.killed(signal.SIGINT)
        self.assertEqual(status, FAILED, words)
        self.assertIn(f"ferry bench --resume {self.file}", words)
        self.assertGreaterEqual(len(self.runs()), 2)
        self.assertTrue(self.page())

    def test_a_row_that_fails_is_told_and_the_rest_goes_on(self):
        status, out, err = self.bench("--local", *SMALL, "dirty=0,unlimited", "give-up-after=1", "downtime-limit=1ms",
                                      "max-bandwidth=8MiB/s", "--repetitions", "1")
        self.assertEqual(status, FAILED, err)
        by = {line["settings"]["dirty"]: line for line in self.lines()[1:]}
        self.assertEqual((by["0"]["status"], by["unlimited"]["status"]), ("completed", "failed"))
        self.assertIn("failed: dirty=unlimited: run 1: ", out)
        self.assertIn("Failed runs", self.page())

    def serve(self, word):
        """The address of a bench that serves."""
        name = f"unix:@ferry-bench-{word}-{os.getpid()}"
        server = subprocess.Popen([FERRY, "bench", "--serve", name], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                  text=True)
        self.addCleanup(server.stderr.close)
        self.addCleanup(server.wait, PATIENCE)
        self.addCleanup(server.terminate)
        self.assertIn("listening on ", server.stderr.readline())
        return name

    def connect(self, address):
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.settimeout(PATIENCE)
        client.connect("\0" + address.removeprefix("unix:@"))
        return client

    def test_a_bare_stream_that_comes_to_no_end_is_given_up(self):
        bench = self.connect(self.serve("silent"))
        with bench.makefile("r") as lines:
            self.assertEqual(json.loads(lines.readline())["event"], "hello")
            bench.sendall(b'{"do": "ceiling", "streams": 1, "duration-ns": 1000000, "via": "unix"}\n')
            self.connect(json.loads(lines.readline())["address"])
            answer = json.loads(lines.readline())
        self.assertEqual(answer["event"], "refused")
        self.assertIn("came to no end", answer["text"])

    def test_a_bench_served_elsewhere(self):
        name = self.serve("test")
        for _ in range(2):
            status, _, err = self.bench(name, *SMALL, "tls=on", "--repetitions", "1")
            self.assertEqual(status, DONE, err)
            self.assertEqual(self.lines()[1]["status"], "completed")
            os.remove(self.file)
        status, _, err = self.bench(name, *SMALL, "via=unix")
        self.assertEqual(status, USAGE)

    def test_what_cannot_be_measured_is_refused_before_anything_runs(self):
        for argv, word in (((), "--local"), (("--local", "colour=red"), "colour"), (("--local", "size=much"), "much"),
                           (("--local", "channels=2", "channels=3"), "twice"), (("--local", "journal=x"), "journal"),
                           (("--local", "tls=maybe"), "maybe"), (("--local", "--repetitions", "0"), "repetitions"),
                           (("--resume", self.path("none")), "none"), (("--local", "tcp:127.0.0.1:1"), "both")):
            with self.subTest(argv):
                status, out, err = run("bench", *argv)
                self.assertEqual((status, out), (USAGE, ""), err)
                self.assertIn(word, err)
        self.assertFalse(os.path.exists(self.file))

    def test_a_matrix_of_a_file(self):
        with open(self.path("m.json"), "w", encoding="utf-8") as file:
            json.dump({"channels": [0, 1], "dirty": "1MiB/s", "prefault": False, "pattern": "bursts", "burst": "20ms",
                       "pause": "30ms"}, file)
        status, _, err = self.bench("--local", *SMALL, "--matrix", self.path("m.json"), "--repetitions", "1")
        self.assertEqual(status, DONE, err)
        self.assertEqual(self.lines()[0]["axes"], {"size": ["8MiB"], "channels": ["0", "1"], "dirty": ["1MiB/s"],
                                                   "prefault": ["off"], "pattern": ["bursts"], "burst": ["20ms"],
                                                   "pause": ["30ms"]})
        for line in self.lines()[1:]:
            self.assertEqual(line["destination"]["verify"]["lost-writes"], 0)

    def test_nothing_that_was_measured_is_written_over(self):
        with open(self.file, "w", encoding="utf-8") as file:
            file.write("dear figures\n")
        status, _, err = self.bench("--local", *SMALL)
        self.assertEqual(status, USAGE)
        self.assertIn("is there already", err)
        status, _, err = run("bench", "--resume", self.file)
        self.assertEqual(status, USAGE, err)
        with open(self.file, encoding="utf-8") as file:
            self.assertEqual(file.read(), "dear figures\n")

    def look_at_layout(self, browser):
        for name, text in (("look.html", self.page() + LOOK), ("frames.html", FRAMES)):
            with open(self.path(name), "w", encoding="utf-8") as file:
                file.write(text)
        done = subprocess.run([browser, "--headless=new", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=5000",
                               "--enable-logging=stderr", f"--user-data-dir={self.path('profile')}",
                               "--window-size=1400,2000", "--dump-dom", "file://" + self.path("frames.html")],
                              capture_output=True, text=True, timeout=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("CONSOLE", done.stderr)
        found = json.loads(html.unescape(re.search("FOUND(.*)END</p>", done.stdout)[1]))
        self.assertEqual({one["width"] for one in found}, {1280, 400})
        for one in found:
            self.assertEqual(one["bad"], [], one["width"])
            self.assertIn(one["figures"], (5 + 2 * 2, 5 + 2 * 2 + 1))  # of all rows, and of each; perhaps faults

    def test_the_page_in_a_browser(self):
        """Optional: only where one is installed."""
        browser = shutil.which("chromium")
        if not browser:
            print("SKIP: needs tools: chromium to look at the page", flush=True)
            return
        self.assertEqual(self.bench("--local", *SMALL[:-2], "postcopy=off,now", "channels=0", "dirty=100MiB/s",
                                    "--repetitions", "1", "--plan", "20ms")[0], DONE)
        self.look_at_layout(browser)


if __name__ == "__main__":
    if missing("userfaultfd"):
        sys.exit(77)
    unittest.main(verbosity=2)
