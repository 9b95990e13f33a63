# SPDX-License-Identifier: BSD-3-Clause
# source.py - the files of the source tree, and C text without its comments; what every check stands on
import argparse
import os
import re
import subprocess
import sys

# Folders in the order of their layers: a folder sees itself and what is in a lower layer.
LAYERS = [
    ["include", "base"],
    ["channels", "compress"],
    ["tls"],
    ["transport/stream", "transport/memory"],
    ["transport/state", "transport/pages"],
    ["transport/session"],
    ["bench/guest"],
    ["tools", "bench", "tests"],
]
LIBRARY = ("include/", "base/", "channels/", "compress/", "tls/", "transport/")


class Check:
    """Parses --root, collects complaints and ends the process with a status."""

    def __init__(self, *arguments):
        parser = argparse.ArgumentParser()
        parser.add_argument("--root", default=os.path.dirname(os.path.dirname(os.path.dirname(
            os.path.abspath(__file__)))))
        for name in arguments:
            parser.add_argument(name)
        self.args = parser.parse_args()
        self.root = self.args.root
        self.complaints = 0

    def path(self, name):
        return os.path.join(self.root, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as f:
            return f.read()

    def files(self, *endings):
        return [name for name in tree(self.root) if name.endswith(endings)]

    def complain(self, name, line, text):
        self.complaints += 1
        print(f"{name}:{line}: {text}" if line else f"{name}: {text}")

    def done(self):
        sys.exit(1 if self.complaints else 0)


def tree(root):
    """Every file that is or may soon be tracked, relative to @root; without git, all but build directories."""
    try:
        out = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                             check=True, capture_output=True, text=True).stdout
        names = [name for name in out.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, files in os.walk(root):
            folders[:] = [f for f in folders
                          if f != ".git" and not os.path.isdir(os.path.join(folder, f, "meson-private"))]
            names += [os.path.relpath(os.path.join(folder, f), root) for f in files]
    return sorted(name for name in set(names) if os.path.isfile(os.path.join(root, name)))


def skip(reason):
    print(f"SKIP: {reason}")
    sys.exit(77)


def code_only(text):
    """@text with comments and the insides of literals blanked, every line keeping its number."""
    def blank(match):
        whole = match.group(0)
        if whole[0] in "\"'":
            return whole[0] + whole[0]
        return re.sub(r"[^\n]", " ", whole)
    return re.sub(r"""/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", blank, text, flags=re.S)


def folder_of(name):
    """The layered folder that @name belongs to, or None."""
    found = [folder for layer in LAYERS for folder in layer if name.startswith(folder + "/")]
    return max(found, key=len, default=None)


def rank(folder):
    return next(i for i, layer in enumerate(LAYERS) if folder in layer)
