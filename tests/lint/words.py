#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# words.py - the library never ends the process nor speaks on its terminal, and nothing is left "to be done"
import re

from source import Check, LIBRARY, code_only

CALLS = ("exit _exit _Exit quick_exit abort assert raise printf vprintf puts putchar perror psignal "
         "err errx verr verrx warn warnx vwarn vwarnx error").split()
CALL = re.compile(r"(?<![\w.>])(" + "|".join(CALLS) + r")\s*\(")
STREAM = re.compile(r"\b(stderr|stdout|STDERR_FILENO|STDOUT_FILENO)\b")
# After fork() the child has no caller to return to, and its standard descriptors are what the channel is made of.
CHILD = "channels/exec.c"
CHILD_MAY = {"_exit", "STDERR_FILENO", "STDOUT_FILENO"}
UNDONE = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "X" * 3]) + r")\b")

check = Check()
for name in check.files(".c", ".h"):
    if not name.startswith(LIBRARY):
        continue
    for number, line in enumerate(code_only(check.read(name)).splitlines(), 1):
        for match in list(CALL.finditer(line)) + list(STREAM.finditer(line)):
            if not (name == CHILD and match.group(1) in CHILD_MAY):
                check.complain(name, number, f"{match.group(1)}: a library returns its errors")
for name in check.files(".c", ".h", ".py", ".sh", ".md", "meson.build"):
    for number, line in enumerate(check.read(name).splitlines(), 1):
        for match in UNDONE.finditer(line):
            check.complain(name, number, f"{match.group(1)}: do it, or write an issue")
check.done()
