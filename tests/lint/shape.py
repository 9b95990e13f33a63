#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# shape.py - a file says its licence and purpose first and stays readable: 600 lines, functions of 60
#
# Functions are found by the braces that clang-format leaves in the first column, and counted with both braces.
import os
import re

from source import Check

FILE_LINES, FUNCTION_LINES = 600, 60
SPDX = "SPDX-License-Identifier: BSD-3-Clause"

check = Check()


def head(name, lines):
    if lines[:1] != [f"/* {SPDX} */"]:
        check.complain(name, 1, f"the first line is not /* {SPDX} */")
    if not re.match(r"/\* " + re.escape(os.path.basename(name)) + r" - \S", (lines + ["", ""])[1]):
        check.complain(name, 2, f"the second line does not say what this is: /* {os.path.basename(name)} - ...")


def functions(name, lines):
    began = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            began = number
        elif line.startswith("}") and began:
            if number - began + 1 > FUNCTION_LINES:
                signature = next((l for l in reversed(lines[:began - 1]) if l and not l[0].isspace()), "")
                check.complain(name, began, f"{number - began + 1} lines: {signature}")
            began = None


for name in check.files(".c", ".h", ".S"):
    lines = check.read(name).splitlines()
    head(name, lines)
    functions(name, lines)
    if len(lines) > FILE_LINES:
        check.complain(name, 0, f"{len(lines)} lines, more than {FILE_LINES}")
for name in check.files(".py", ".sh", "/run", "/try", "/setup"):
    if not any(line == f"# {SPDX}" for line in check.read(name).splitlines()[:2]):
        check.complain(name, 1, f"neither of the first two lines is # {SPDX}")
check.done()
