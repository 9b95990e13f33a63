#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# selftest.py - each check passes a good tree, and refuses the same tree with one thing wrong
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
SPDX = "/* SPDX-License-Identifier: BSD-3-Clause */\n"
LONG = "\n".join(["    x++;"] * 60)
UNDONE = "TO" + "DO"

GOOD = {
    "include/ferry/a.h": SPDX + "/* a.h - a */\n#ifndef FERRY_A_H\n#define FERRY_A_H\n"
                         "#define FERRY_API __attribute__((visibility(\"default\")))\nFERRY_API int ferry_a(void);\n#endif\n",
    "base/b.h": SPDX + "/* b.h - b */\nint b(void);\n",
    "tls/t.h": SPDX + "/* t.h - t */\nint t(void);\n",
    "channels/c.h": SPDX + "/* c.h - c */\nint c(void);\n",
    "transport/stream/s.c": SPDX + "/* s.c - exit() and stderr in a comment */\n#include \"b.h\"\n#include \"c.h\"\n"
                            "\nint b(void)\n{\n    return \"printf(\"[0];\n}\n",
    "transport/session/secure.c": SPDX + "/* secure.c - s */\n#include \"t.h\"\n",
    "transport/session/options.c": SPDX + "/* options.c - o */\nstatic const struct option_row rows[] = {\n"
                                   "    { \"max-bandwidth\", 1 },\n};\n",
    "docs/options.md": "| `max-bandwidth` | x |\n",
    "channels/exec.c": SPDX + "/* exec.c - e */\nint e(void)\n{\n    _exit(127);\n}\n",
}

# check, file, what it holds instead, what the complaint must say
BAD = [
    ("format", "base/b.c", SPDX + "/* b.c - b */\nint  b( void );\n", "b.c:3"),
    ("includes", "base/b.c", '#include "c.h"\n', "base may not include channels/c.h"),
    ("includes", "compress/z.c", '#include "c.h"\n', "compress may not include channels/c.h"),
    ("includes", "transport/stream/s.c", '#include "t.h"\n', "may not include tls/t.h"),
    ("includes", "transport/stream/s.c", '#include "../../base/b.h"\n', "no ../"),
    ("includes", "transport/stream/s.c", "#include <ferry/../b.h>\n", "no ../"),
    ("includes", "include/ferry/a.h", '#include "b.h"\n', "only <ferry/...>"),
    ("includes", "channels/c.c", "#include <openssl/ssl.h>\n", "tls/ alone"),
    ("includes", "base/b.c", "#include <ferry/none.h>\n", "not a public header"),
    ("includes", "base/b.c", '#include "none.h"\n', "nowhere"),
    ("includes", "util/u.c", "int u;\n", "no place among the layers"),
    ("words", "base/b.c", "int b(void)\n{\n    exit(1);\n}\n", "b.c:3: exit"),
    ("words", "base/b.c", "/* x */ void b(void) { abort (); }\n", "abort"),
    ("words", "base/b.c", 'void b(void) { fprintf(stderr, "x"); }\n', "stderr"),
    ("words", "channels/c.c", "void c(void) { _exit(1); }\n", "_exit"),
    ("words", "channels/exec.c", "void c(void) { exit(1); }\n", "exit"),
    ("words", "tools/x.c", f"/* {UNDONE} */\n", UNDONE),
    ("shape", "base/b.c", "/* b.c - b */\n", "first line"),
    ("shape", "base/b.c", SPDX + "/* other.c - b */\n", "second line"),
    ("shape", "base/b.c", SPDX + "/* b.c - b */\nint b(int x)\n{\n" + LONG + "\n}\n", "62 lines: int b(int x)"),
    ("shape", "base/b.c", SPDX + "/* b.c - b */\n" + "int b;\n" * 599, "601 lines"),
    ("shape", "tools/x.py", "print()\n", "neither of the first two lines"),
    ("headers", "include/ferry/a.h", "size_t ferry_a(void);\n", "alone with gcc"),
    ("headers", "include/ferry/a.h", "int ferry_a(int new);\n", "alone with g++"),
    ("options", "docs/options.md", "nothing\n", "says nothing of `max-bandwidth`"),
    ("options", "docs/options.md", "| `max-bandwidth` | x |\n| `more` | x |\n", "`more`, which is no option"),
    ("options", "transport/session/options.c", "int x;\n", "lost its form"),
]
LIBRARIES = [
    ("int ferry_a(void) { return 0; }", None),
    ("int ferry_a(void) { return 0; } int helper(void) { return 0; }", "exports helper"),
    ("int ferry_a(void) { return 0; } int ferry_b(void) { return 0; }", "exports ferry_b"),
    ("int ferry_b(void);", "does not have"),
]


def plant(root, files):
    for name, text in files.items():
        os.makedirs(os.path.dirname(os.path.join(root, name)), exist_ok=True)
        with open(os.path.join(root, name), "w") as f:
            f.write(text)
    shutil.copy(os.path.join(TOP, ".clang-format"), root)


def verdict(check, root, *more, env=None):
    return subprocess.run([sys.executable, os.path.join(HERE, check + ".py"), "--root", root, *more],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


def judge(check, files, want, more=()):
    """Whether @check refuses the planted tree with @want in its words; want None: whether it passes it."""
    with tempfile.TemporaryDirectory() as root:
        plant(root, files)
        got = verdict(check, root, *more)
    right = got.returncode == 0 if want is None else got.returncode == 1 and want in got.stdout
    if not right:
        print(f"{check}: wanted {want or 'no complaint'}, got {got.returncode}:\n{got.stdout}")
    return right


def library(folder, text):
    path = os.path.join(folder, "lib.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=text, text=True, check=True)
    return path


def install_of_nothing():
    """Whether install refuses what a `meson install` that installs nothing leaves."""
    with tempfile.TemporaryDirectory() as root:
        page = "```c\nint main(void) {}\n```\nIt prints `nothing`.\n"
        plant(root, {**GOOD, "bin/meson": "#!/bin/sh\nexit 0\n", "docs/embedding.md": page})
        os.chmod(os.path.join(root, "bin/meson"), 0o755)
        path = os.path.join(root, "bin") + ":" + os.environ["PATH"]
        got = verdict("install", root, root, env=dict(os.environ, PATH=path))
    wanted = ["ferry/a.h is not installed", "bin/ferry is not there", "libferry.a is not there"]
    return got.returncode == 1 and all(want in got.stdout for want in wanted)


if not shutil.which("clang-format"):
    print("SKIP: needs tools: clang-format")
    sys.exit(77)
right = [judge(check, GOOD, None) for check in ("format", "includes", "words", "shape", "headers", "options")]
right += [judge(check, {**GOOD, name: text}, want) for check, name, text, want in BAD]
with tempfile.TemporaryDirectory() as folder:
    right += [judge("symbols", GOOD, want, [library(folder, text)]) for text, want in LIBRARIES]
right.append(install_of_nothing())
print(f"{right.count(True)} of {len(right)} verdicts right")
sys.exit(0 if all(right) else 1)
