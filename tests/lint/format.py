#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# format.py - every C file is what clang-format would make of it
import shutil
import subprocess

from source import Check, skip

check = Check()
if not shutil.which("clang-format"):
    skip("needs tools: clang-format")
names = check.files(".c", ".h")
result = subprocess.run(["clang-format", "--dry-run", "-Werror", "--style=file"] + names, cwd=check.root)
if names and result.returncode:
    check.complain("format", 0, "run clang-format -i on the files above")
check.done()
