# SPDX-License-Identifier: BSD-3-Clause
# pki.py - credentials for tests, made by the program itself
import os
import subprocess

from ferry import FERRY


def make(*argv):
    subprocess.run([FERRY, "keys", *argv], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)


def x509(folder, host="localhost"):
    make("x509", folder, "--host", host)
    return folder


def psk(path):
    make("psk", path)
    assert os.path.getsize(path) > 0
    return path
