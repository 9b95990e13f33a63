# SPDX-License-Identifier: BSD-3-Clause
# kill.py - the switch, killed at every step on either side: never two guests, and in the end exactly one may run
#
# A process stops itself at a step (FERRY_STOP_AT), so nothing here waits for time; then it gets SIGKILL.  All steps of
# both sides stand in one file (FERRY_STEPS), in the order in which they were taken.
#
# FERRY_KILL_RUNS is how many runs there are, and prints a table of them.  Without it each plan is taken once; 200 take
# nearly every plan a second time, over another kind of socket and with another guest.
import collections
import contextlib
import itertools
import os
import shutil
import signal

from ferry import DONE, FAILED, PATIENCE, UNCERTAIN, Case, Side, main, run

RUNS = int(os.environ.get("FERRY_KILL_RUNS", "0"))
SOURCE = ("started", "answered", "note-prepared", "prepared", "stopped", "sent", "note-committed", "committed",
          "commit-sent", "note-done", "done")
DESTINATION = ("started", "answered", "prepare-heard", "note-ready", "ready", "ready-sent", "note-committed",
               "committed", "guest-started", "note-running", "running")
# Where both can stand at once: with the source at this step, the destination can be at any of these.
TOGETHER = {
    "answered": ("answered",),
    "sent": ("prepare-heard", "note-ready", "ready", "ready-sent"),
    "note-committed": ("ready-sent",),
    "committed": ("ready-sent",),
    "commit-sent": ("ready-sent", "note-committed", "committed", "guest-started", "note-running", "running"),
    "note-done": ("note-running", "running"),
    "done": ("note-running", "running"),
}

Plan = collections.namedtuple("Plan", "source destination killed decline", defaults=(None, None, "", False))


def plans():
    """Who stops where, and who is killed: s the source, d the destination, both at once, or one after the other."""
    for step in SOURCE:
        yield Plan(source=step, killed="s")
    for step in DESTINATION:
        yield Plan(destination=step, killed="d")
    for source, steps in TOGETHER.items():
        for destination in steps:
            for killed in ("sd", "d", "s"):
                yield Plan(source, destination, killed)
    for step in SOURCE:
        yield Plan(source=step, killed="sd")
    for step in DESTINATION:
        yield Plan(destination=step, killed="ds")
    for step in ("note-aborted", "aborted", "declined-sent"):
        yield Plan(destination=step, killed="d", decline=True)
        yield Plan(destination=step, killed="sd", decline=True)
    for step in ("declined-heard", "note-aborted", "aborted", "restarting"):
        yield Plan(source=step, killed="s", decline=True)
    yield Plan(killed="", decline=True)


def in_time(call, *args):
    """What a call that blocks returns, if it does within PATIENCE."""
    def too_late(*_):
        raise AssertionError("nothing happens any more")
    signal.signal(signal.SIGALRM, too_late)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        return call(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


class Run:
    """One migration, killed as planned."""

    def __init__(self, case, plan, number, busy):
        self.case, self.plan = case, plan
        self.folder = case.path(f"run-{number}")
        os.mkdir(self.folder)
        self.journals = {"source": self.path("a.journal"), "destination": self.path("b.journal")}
        self.uri = "tcp:127.0.0.1:0" if busy else "unix:" + self.path("s")
        self.spec = "pattern:size=1MiB,dirty=" + ("1MiB/s" if busy else "0")
        self.stop = {"source": plan.source, "destination": plan.destination}
        if plan.decline:
            self.stop = {"source": ",".join(filter(None, ("committed", plan.source))),
                         "destination": ",".join(filter(None, ("ready-sent", "note-aborted", plan.destination)))}
        self.sides = {}

    def start(self):
        self.begin("destination", "recv", self.uri, "--guest", "pattern", "--run-on", "1ms")
        address = self.sides["destination"].wait_event("listening")["address"]
        self.begin("source", "send", address, "--guest", self.spec, "--channels", "0")

    def close(self):
        for side in self.sides.values():
            side.close()

    def path(self, name):
        return os.path.join(self.folder, name)

    def begin(self, name, *argv):
        # The search for leaks at the end of a process hangs now and then, and is other tests' business.
        env = {**os.environ, "FERRY_STEPS": self.path("steps"),
               "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}
        if self.stop[name]:
            env["FERRY_STOP_AT"] = self.stop[name]
        self.sides[name] = Side(*argv, "--journal", self.journals[name], "--quiet", env=env)

    def steps(self):
        with open(self.path("steps")) as lines:
            return [tuple(line.split()) for line in lines]

    def wait_stopped(self, name, step):
        process = self.sides[name].process
        got = in_time(os.waitid, os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
        self.case.assertEqual(got.si_code, os.CLD_STOPPED, f"{self.plan}: {name}: {self.sides[name].words()}")
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        mine = [taken for side, taken in self.steps() if side == name]
        self.case.assertEqual(mine[-1], step, self.plan)

    def go_on(self, name):
        self.sides[name].signal(signal.SIGCONT)

    def kill(self, name):
        self.sides[name].process.kill()
        in_time(self.sides[name].process.wait)

    def decline(self):
        """The destination is told to give up while the source has committed and not said so."""
        self.wait_stopped("source", "committed")
        self.wait_stopped("destination", "ready-sent")
        self.sides["destination"].signal(signal.SIGINT)
        self.go_on("destination")
        self.wait_stopped("destination", "note-aborted")
        if self.plan.destination != "note-aborted":
            self.go_on("destination")
            if self.plan.destination:
                self.wait_stopped("destination", self.plan.destination)
        if self.plan.killed == "d":
            self.kill("destination")
        if self.plan.killed != "sd":
            self.go_on("source")
        if self.plan.source:
            self.wait_stopped("source", self.plan.source)

    def carry_out(self):
        plan = self.plan
        if plan.decline:
            self.decline()
        else:
            for name, step in (("source", plan.source), ("destination", plan.destination)):
                if step:
                    self.wait_stopped(name, step)
        for letter in plan.killed:
            self.kill({"s": "source", "d": "destination"}[letter])
        for name, side in self.sides.items():
            if name[0] not in plan.killed:
                self.go_on(name)
        if plan == Plan(source="started", killed="s"):  # no hello came: it waits for another source
            self.sides["destination"].signal(signal.SIGINT)
        return {name: None if name[0] in plan.killed else side.end() for name, side in self.sides.items()}

    # ---- what must hold

    def never_two(self):
        """The guest runs at one side, and never again at the source once it has run at the destination."""
        here, there = True, False
        for taken in self.steps():
            if taken == ("source", "stopped"):
                here = False
            elif taken == ("source", "restarting"):
                self.case.assertFalse(there, f"{self.plan}: started again at the source: {self.steps()}")
                here = True
            elif taken == ("destination", "guest-started"):
                self.case.assertFalse(here, f"{self.plan}: started at the destination: {self.steps()}")
                there = True
        return "destination" if there else "source" if here else None

    def existing(self):
        return {name: path for name, path in self.journals.items() if os.path.exists(path)}

    def recover(self, *more, **journals):
        argv = list(itertools.chain(*((f"--{name}-journal", path) for name, path in journals.items())))
        status, out, err = run("recover", *argv, *more)
        self.case.assertEqual(err, "", self.plan)
        self.case.assertIn(status, (DONE, UNCERTAIN), f"{self.plan}: {out}")
        if status == UNCERTAIN:
            return None, out
        return out.split()[1], out

    def last_notes(self):
        notes = {"source": "none", "destination": "none"}
        for line in self.recover(**self.existing())[1].splitlines():
            name, _, rest = line.partition(": ")
            if name in notes and rest.startswith(("not given", "tells nothing")) is False:
                notes[name] = rest.split(",")[0]
        return notes["source"], notes["destination"]

    def settle(self, name):
        """As a side does that is up again and is shown a copy of the other's journal."""
        journals = self.existing()
        for other in journals:
            if other != name:
                shutil.copy(journals[other], self.path("copy"))
                journals[other] = self.path("copy")
        return self.recover("--settle", name, **journals)[0]

    def check_end(self, name, end, ran_at, owner):
        """What a process that was not killed says of itself."""
        if end is None:
            return
        status, report = end
        expected = {"completed": (DONE,), "failed": (FAILED,), "cancelled": (FAILED,), "uncertain": (UNCERTAIN,),
                    "undecided": (UNCERTAIN,)}
        says = report["status"]
        self.case.assertIn(status, expected[says], self.plan)
        if name == "source":
            self.case.assertIs(report["guest"]["runs-here"], says in ("failed", "cancelled"), self.plan)
            if says != "uncertain":
                self.case.assertEqual(owner, "destination" if says == "completed" else "source", self.plan)
        else:
            self.case.assertEqual(says == "completed", ran_at == "destination", self.plan)

    def check(self, ends):
        """Returns the last notes of both, and who may run the guest."""
        ran_at = self.never_two()
        journals = self.existing()
        owner, out = self.recover(**journals)
        self.case.assertIsNotNone(owner, f"{self.plan}: {out}")
        notes = self.last_notes()
        if ran_at == "destination":
            self.case.assertEqual(owner, ran_at, f"{self.plan}: {out}")
            self.case.assertIn(notes[1], ("committed", "running"), f"{self.plan}: it ran before that was noted")
        if {("source", "committed"), ("source", "restarting")} <= set(self.steps()):
            self.case.assertEqual(notes, ("aborted", "aborted"), f"{self.plan}: given back before that was noted")
        for name, end in ends.items():
            self.check_end(name, end, ran_at, owner)
        order = sorted(journals, reverse=len(self.plan.killed) == 1)
        for name in order:
            self.case.assertEqual(self.settle(name), owner, f"{self.plan}: {name} settles it otherwise than {out}")
        self.case.assertEqual(self.recover(**journals)[0], owner, self.plan)
        alone = [name for name in journals if self.recover(**{name: journals[name]})[0] == name]
        self.case.assertEqual(alone, [owner], f"{self.plan}: each by itself")
        return notes, owner


def places(plan):
    """"source at committed, destination at ready-sent"; the killed ones are in capitals."""
    names = []
    for name, step in (("source", plan.source), ("destination", plan.destination)):
        shown = name.upper() if name[0] in plan.killed else name
        if step or name[0] in plan.killed:
            names.append(f"{shown} at {step}" if step else shown)
    return ", ".join(names) + (", declined" if plan.decline else "")


def print_table(rows):
    """rows: (plan, notes, owner), one for each run."""
    counts = collections.Counter((places(plan), *notes, owner) for plan, notes, owner in rows)
    print(f"\n{'stopped where (KILLED)':64} {'source':10} {'destination':12} {'may run':12} runs")
    for (where, source, destination, owner), count in counts.items():
        print(f"{where:64} {source:10} {destination:12} {owner:12} {count:4}")
    owners = collections.Counter(owner for _, _, owner in rows)
    print(f"{len(rows)} runs: never two guests; one side may run it each time ({dict(owners)})", flush=True)


class Kill(Case):
    def test_every_step(self):
        every = list(plans())
        rows = []
        for number, plan in zip(range(RUNS or len(every)), itertools.cycle(every)):
            with contextlib.closing(Run(self, plan, number, busy=sum(divmod(number, len(every))) % 2)) as one:
                one.start()
                rows.append((plan, *one.check(one.carry_out())))
        if RUNS:
            print_table(rows)
        owners = {owner for _, _, owner in rows}
        self.assertEqual(owners, {"source", "destination"})


if __name__ == "__main__":
    main()
