#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# includes.py - who may include whom: a folder sees itself and lower layers, and OpenSSL stays behind tls/
#
# Where a private header may come from:
#   - the includer's folder and every lower layer, but not a neighbour in the same layer;
#   - of the library, only transport/session/secure* reaches tls/;
#   - beside tls/ and tests, OpenSSL is for bench/cipher.c, which asks what its ciphers can do by themselves;
#   - tests reach everything; public headers and examples reach <ferry/...> alone.
import os
import re

from source import Check, LIBRARY, folder_of, rank

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"\n]+)[>"]', re.M)
CIPHER = "bench/cipher.c"
EMBEDDERS = ("include/", "docs/", "examples/")

check = Check()
headers = {}
for name in check.files(".h"):
    if not name.startswith("include/"):
        headers.setdefault(os.path.basename(name), []).append(name)


def may_see(name, header):
    mine, theirs = folder_of(name), folder_of(header)
    if mine == theirs or mine == "tests":
        return True
    if theirs == "tls" and name.startswith(LIBRARY):
        return os.path.basename(name).startswith("secure") and mine == "transport/session"
    return rank(theirs) < rank(mine)


def quoted(name, line, target):
    if "/" in target:
        return check.complain(name, line, f'"{target}": a private header is named without a folder')
    if name.startswith(EMBEDDERS):
        return check.complain(name, line, f'"{target}": only <ferry/...> and the system may be included here')
    if not target.endswith(".h"):
        return check.complain(name, line, f'"{target}" is not a header')
    found = headers.get(target, [])
    if not found:
        return check.complain(name, line, f'"{target}" is nowhere in the tree')
    seen = [header for header in found if may_see(name, header)]
    if not seen:
        return check.complain(name, line, f"{folder_of(name)} may not include {found[0]}")
    beside = os.path.join(os.path.dirname(name), target) in seen
    if len(seen) > 1 and not beside:
        check.complain(name, line, f'"{target}" may be any of {", ".join(seen)}')


def angled(name, line, target):
    if target.startswith("ferry/") and not os.path.exists(check.path("include/" + target)):
        check.complain(name, line, f"<{target}> is not a public header")
    if target.startswith("openssl/") and not name.startswith(("tls/", "tests/", CIPHER)):
        check.complain(name, line, f"<{target}>: tls/ alone includes OpenSSL")


for name in check.files(".c", ".h"):
    if not folder_of(name) and not name.startswith(EMBEDDERS):
        check.complain(name, 0, "this folder has no place among the layers (tests/lint/source.py)")
        continue
    text = check.read(name)
    for match in INCLUDE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        if ".." in match.group(2).split("/"):
            check.complain(name, line, f"{match.group(2)}: no ../ in an include")
        elif match.group(1) == '"':
            quoted(name, line, match.group(2))
        else:
            angled(name, line, match.group(2))
check.done()
