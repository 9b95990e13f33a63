#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# options.py - every row of the option table has a row in docs/options.md, and the other way round
import os
import re

from source import Check

TABLE, PAGE = "transport/session/options.c", "docs/options.md"

check = Check()
table = re.search(r"\brows\[\]\s*=\s*\{(.*?)^\};", check.read(TABLE), re.S | re.M)
coded = re.findall(r'\{\s*(?:\.name\s*=\s*)?"([a-z0-9-]+)"', table.group(1)) if table else []
if not coded:
    check.complain(TABLE, 0, "no option found: has the table lost its form, rows[] = { { \"name\", ... }, }?")
told = re.findall(r"^\|\s*`([a-z0-9-]+)`\s*\|", check.read(PAGE), re.M) if os.path.exists(check.path(PAGE)) else []
for name in sorted(set(coded) - set(told)):
    check.complain(PAGE, 0, f"says nothing of `{name}`")
for name in sorted(set(told) - set(coded)):
    check.complain(PAGE, 0, f"tells of `{name}`, which is no option")
for name in sorted({name for name in coded if coded.count(name) > 1}):
    check.complain(TABLE, 0, f"has two rows for {name}")
check.done()
