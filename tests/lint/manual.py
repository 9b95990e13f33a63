#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# manual.py - the manual and the completion for bash are whole: every command, option and public function is there
#
# Takes the program and the folder in which the pages were built.
import os
import re
import shutil
import subprocess

from source import Check

check = Check("ferry", "pages")
FERRY, PAGES = check.args.ferry, check.args.pages


def said(*argv):
    return subprocess.run([FERRY, *argv], capture_output=True, text=True).stdout


def page(name):
    path = os.path.join(PAGES, name)
    if not os.path.exists(path):
        check.complain(name, 0, "this page of the manual is not made (docs/meson.build)")
        return ""
    with open(path, encoding="utf-8") as f:
        return f.read().replace("\\-", "-").replace("\\e", "\\")


def commands():
    part = said("--help").split("Commands:\n")[1].split("\n\n")[0]
    return [line.split()[0] for line in part.splitlines()]


def forms(command):
    """What can be asked for help: 'send', or 'keys psk', 'keys x509', ..."""
    words = re.findall(rf"^(?:Usage:)? +ferry {command} ([a-z0-9]+) [A-Z]", said(command, "--help"), re.M)
    return [f"{command} {word}" for word in words] or [command]


def complete(*words):
    script = (f". {PAGES}/ferry; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _ferry; "
              "printf '%s\\n' \"${COMPREPLY[@]}\"")
    done = subprocess.run(["bash", "--norc", "--noprofile", "-c", script, "-", *words], capture_output=True, text=True)
    if done.returncode or done.stderr:
        check.complain("completion", 0, f"{' '.join(words)}: {done.stderr}")
    return done.stdout.split()


def expect(found, *words):
    if complete(*words) != found:
        check.complain("completion", 0, f"{' '.join(words)}: {complete(*words)}, not {found}")


def section_1():
    program = page("ferry.1")
    for command in commands():
        text = page(f"ferry-{command}.1")
        if f"ferry-{command} (1)" not in program:
            check.complain("ferry.1", 0, f"does not name ferry-{command}(1)")
        for form in forms(command):
            offered = complete("ferry", *form.split(), "--")
            for option in re.findall(r"--[a-z][a-z0-9-]*", said(*form.split(), "--help").split("\nExamples:")[0]):
                if option not in ("--help",) and f"\\fB{option}\\fR" not in text and option not in text:
                    check.complain(f"ferry-{command}.1", 0, f"says nothing of {option}")
            if len(offered) < 1 or "--help" not in offered:
                check.complain("completion", 0, f"{form}: {offered}")
            for option in re.findall(r"^  (--[a-z][a-z0-9-]*)", said(*form.split(), "--help"), re.M):
                if option not in offered:
                    check.complain("completion", 0, f"{form}: does not offer {option}")


def section_3():
    for name in check.files(".h"):
        if not name.startswith("include/ferry/"):
            continue
        main = page("ferry_" + os.path.basename(name)[:-2] + ".3")
        for function in re.findall(r"^FERRY_API\b[^;(]*?\b(ferry_\w+)\(", check.read(name), re.M):
            text = page(function + ".3")
            if text and not text.startswith(".so man3/") and text != main:
                check.complain(function + ".3", 0, "leads nowhere")
            if function + "(" not in main:
                check.complain(name, 0, f"{function}() is not on the page")


def well_formed():
    names = [os.path.join(PAGES, name) for name in sorted(os.listdir(PAGES)) if re.search(r"\.[13]$", name)]
    names = [name for name in names if not open(name).read(4).startswith(".so ")]
    if len(names) < 20:
        check.complain("manual", 0, f"only {len(names)} pages")
    if shutil.which("mandoc"):
        print(subprocess.run(["mandoc", "-T", "lint", "-W", "warning", *names], capture_output=True, text=True).stdout, end="")
        for name in names:
            if subprocess.run(["mandoc", "-T", "lint", "-W", "warning", name], capture_output=True).returncode:
                check.complain(os.path.basename(name), 0, "mandoc warns")
    else:
        print("SKIP: needs tools: mandoc")


def completion():
    expect(["send", "schema"], "ferry", "s")
    expect(["psk", "x509", "check", "--help"], "ferry", "keys", "")
    expect(["--tracker"], "ferry", "send", "--trac")
    expect(["uffd-async", "uffd-sync"], "ferry", "send", "--tracker", "u")
    expect(["uffd-async", "uffd-sync"], "ferry", "send", "--tracker", "=", "u")
    expect(["auto"], "ferry", "recv", "--channels", "")
    expect(["tcp:"], "ferry", "recv", "t")
    expect(["/etc/os-release"], "ferry", "recv", "tcp:127.0.0.1:1", "--json", "/etc/os-rel")
    expect(["cannot-converge"], "ferry", "explain", "cannot-c")
    expect([], "ferry", "nonsense", "x")
    done = subprocess.run(["bash", "--norc", "-c", f". {PAGES}/ferry; complete -p ferry"], capture_output=True, text=True)
    if done.stdout.strip() != "complete -F _ferry ferry":
        check.complain("completion", 0, done.stdout + done.stderr)


section_1()
section_3()
well_formed()
completion()
check.done()
