#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# install.py - what `meson install` leaves is whole: program, headers, both libraries, manual, and a pkg-config file that works
#
# The example of docs/embedding.md is built against the installed tree only, once with each library, and run.
import glob
import os
import re
import shlex
import subprocess
import tempfile

from source import Check

check = Check("build")

# The example of the documentation, and what it says there that it prints.
PAGE = check.read("docs/embedding.md")
PROGRAM = re.search(r"```c\n(.*?)```", PAGE, re.S).group(1)
PRINTS = re.search(r"It prints `(.*?)`", PAGE).group(1)


def run(*argv, **env):
    return subprocess.run(argv, capture_output=True, text=True, env=dict(os.environ, **env))


def one(top, pattern):
    """The one installed file that @pattern names, or None after a complaint."""
    found = glob.glob(os.path.join(top, "**", pattern), recursive=True)
    if not found:
        check.complain("install", 0, f"{pattern} is not there")
    return found[0] if found else None


def headers(top):
    installed = {os.path.basename(p) for p in glob.glob(os.path.join(top, "**/include/ferry/*.h"), recursive=True)}
    public = {os.path.basename(name) for name in check.files(".h") if name.startswith("include/ferry/")}
    for name in sorted(installed ^ public):
        check.complain("install", 0, f"ferry/{name} is " + ("not installed" if name in public else "not ours"))


def link(pc, libdir, static):
    """Build the program by what pkg-config says, and run it."""
    with tempfile.TemporaryDirectory() as work:
        said = run("pkg-config", "--cflags", "--libs", *(["--static"] if static else []), "ferry",
                   PKG_CONFIG_PATH=os.path.dirname(pc))
        kind = "static" if static else "shared"
        if said.returncode:
            return check.complain("ferry.pc", 0, said.stderr)
        flags = ["-l:libferry.a" if static and flag == "-lferry" else flag for flag in shlex.split(said.stdout)]
        source, program = os.path.join(work, "program.c"), os.path.join(work, "program")
        with open(source, "w") as f:
            f.write(PROGRAM)
        built = run("cc", "-Wall", "-Werror", source, "-o", program, *flags)
        if built.returncode:
            return check.complain("ferry.pc", 0, f"{kind}: {built.stderr}")
        ran = run(program, LD_LIBRARY_PATH="" if static else libdir)
        if ran.returncode or ran.stdout.strip() != PRINTS:
            check.complain("docs/embedding.md", 0,
                           f"{kind}: the program ended with {ran.returncode} {ran.stderr}{ran.stdout}")


def whole(top):
    """Judge an installation under @top, whose ferry.pc is made to point into it."""
    headers(top)
    program, pc, so, archive = (one(top, name) for name in ("bin/ferry", "ferry.pc", "libferry.so", "libferry.a"))
    for name in ("man1/ferry.1", "man1/ferry-send.1", "man3/ferry_session.3", "bash-completion/completions/ferry"):
        one(top, name)
    if not (program and pc and so and archive):
        return
    if run(program, "--help", LD_LIBRARY_PATH=os.path.dirname(so)).returncode:
        check.complain("install", 0, "ferry --help does not work from where it was installed")
    with open(pc) as f:
        text = f.read()
    with open(pc, "w") as f:
        f.write(text.replace("prefix=/", f"prefix={top}/", 1))
    link(pc, os.path.dirname(so), static=False)
    link(pc, os.path.dirname(so), static=True)


with tempfile.TemporaryDirectory() as top:
    done = run("meson", "install", "-C", check.args.build, "--no-rebuild", "--destdir", top)
    if done.returncode:
        check.complain("install", 0, done.stdout + done.stderr)
    else:
        whole(top)
check.done()
