#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# symbols.py - libferry.so exports what the public headers declare, all of it and nothing else
import re
import subprocess

from source import Check, code_only

DECLARED = re.compile(r"FERRY_API\b[^;{}(]*?\b(\w+)\s*(?:\(|\[|;)")

check = Check("library")
out = subprocess.run(["nm", "-D", "--defined-only", check.args.library], check=True, capture_output=True, text=True)
exported = {line.split()[-1].split("@")[0] for line in out.stdout.splitlines()}
declared = {}
for name in check.files(".h"):
    if name.startswith("include/"):
        text = re.sub(r"^[ \t]*#.*(\\\n.*)*", "", code_only(check.read(name)), flags=re.M)
        for match in DECLARED.finditer(text):
            declared[match.group(1)] = name

for symbol in sorted(exported):
    if not symbol.startswith("ferry_"):
        check.complain("libferry.so", 0, f"exports {symbol}, which is not named ferry_*")
    elif symbol not in declared:
        check.complain("libferry.so", 0, f"exports {symbol}, which no public header declares")
for symbol, name in sorted(declared.items()):
    if symbol not in exported:
        check.complain(name, 0, f"declares {symbol}, which libferry.so does not have")
check.done()
