#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# headers.py - each public header compiles alone, in C and C++, with every compiler that is here
import shutil
import subprocess

from source import Check, skip

WARN = ["-Wall", "-Wextra", "-Werror", "-pedantic"]
COMPILERS = {
    "gcc": ["-x", "c", "-std=gnu11", *WARN],
    "clang": ["-x", "c", "-std=gnu11", *WARN],
    "g++": ["-x", "c++", "-std=c++17", *WARN],
    "clang++": ["-x", "c++", "-std=c++17", *WARN],
}

check = Check()
for compiler in COMPILERS:
    if not shutil.which(compiler):
        skip(f"needs tools: {compiler}")
names = [name for name in check.files(".h") if name.startswith("include/")]
if not names:
    check.complain("include", 0, "no public header at all")
for compiler, flags in COMPILERS.items():
    for name in names:
        result = subprocess.run([compiler, *flags, "-fsyntax-only", "-I", check.path("include"), "-"],
                                input=f"#include <{name.removeprefix('include/')}>\nextern int not_empty;\n",
                                text=True, capture_output=True)
        if result.returncode:
            check.complain(name, 0, f"does not compile alone with {compiler}\n{result.stderr}")
check.done()
