#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# keys_made.py - OpenSSL, GnuTLS and QEMU take what `ferry keys` makes, and it takes a revocation list of GnuTLS
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

import qemu

FERRY = os.environ["FERRY"]
PATIENCE = 120
HOSTS = ("host-a.example.com", "192.0.2.7", "2001:db8::7")


def run(*argv):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          timeout=PATIENCE)
    return done.returncode, done.stdout


class KeysMade(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.root = tempfile.mkdtemp(prefix="ferry-keys-")
        cls.addClassCleanup(shutil.rmtree, cls.root)
        cls.authority, cls.pki, cls.psk = (os.path.join(cls.root, name) for name in ("ca", "pki", "psk"))
        os.mkdir(cls.psk)
        for argv in (["x509", cls.authority], ["psk", cls.psk],
                     ["x509", cls.pki, "--ca", cls.authority, *(w for host in HOSTS for w in ("--host", host))]):
            status, out = run(FERRY, "keys", *argv)
            if status:
                raise AssertionError(out)

    def good(self, *argv):
        status, out = run(*argv)
        self.assertEqual(status, 0, out)
        return out

    def test_openssl_verifies_strictly(self):
        for side in ("server", "client"):
            self.good("openssl", "verify", "-x509_strict", "-purpose", f"ssl{side}", "-auth_level", "2", "-CAfile",
                      f"{self.pki}/ca-cert.pem", f"{self.pki}/{side}-cert.pem")
            status, _ = run("openssl", "verify", "-purpose", "sslclient" if side == "server" else "sslserver", "-CAfile",
                            f"{self.pki}/ca-cert.pem", f"{self.pki}/{side}-cert.pem")
            self.assertNotEqual(status, 0)
        for host in HOSTS:
            out = self.good("openssl", "x509", "-noout", "-in", f"{self.pki}/server-cert.pem",
                            "-checkip" if host[0].isdigit() else "-checkhost", host)
            self.assertIn("does match certificate", out)

    def test_serial_numbers_are_random(self):
        seen = set()
        for name in ("ca-cert.pem", "server-cert.pem", "client-cert.pem"):
            out = self.good("openssl", "x509", "-noout", "-serial", "-in", f"{self.pki}/{name}")
            seen.add(int(out.split("=")[1], 16))
        self.assertEqual(len(seen), 3)
        self.assertTrue(all(1 << 120 < serial < 1 << 127 for serial in seen), seen)

    def test_gnutls_verifies(self):
        for host in HOSTS:
            out = self.good("certtool", "--verify", "--verify-profile", "high", "--verify-purpose", "1.3.6.1.5.5.7.3.1",
                            "--verify-hostname", host, "--load-ca-certificate", f"{self.pki}/ca-cert.pem", "--infile",
                            f"{self.pki}/server-cert.pem")
            self.assertIn("The certificate is trusted", out)
        status, out = run("certtool", "--verify", "--verify-hostname", "elsewhere", "--load-ca-certificate",
                          f"{self.pki}/ca-cert.pem", "--infile", f"{self.pki}/server-cert.pem")
        self.assertNotEqual(status, 0, out)
        self.good("certtool", "--key-info", "--infile", f"{self.pki}/server-key.pem")

    def test_a_revoked_certificate_is_told(self):
        """As docs/keys.md says how."""
        folder = os.path.join(self.root, "revoked")
        shutil.copytree(self.pki, folder)
        with open(f"{folder}/crl.cfg", "w") as f:
            f.write("crl_next_update = 365\ncrl_number = 1\n")
        self.good("certtool", "--generate-crl", "--template", f"{folder}/crl.cfg", "--load-ca-privkey",
                  f"{self.authority}/ca-key.pem", "--load-ca-certificate", f"{self.authority}/ca-cert.pem",
                  "--load-certificate", f"{folder}/client-cert.pem", "--outfile", f"{folder}/ca-crl.pem")
        status, out = run(FERRY, "keys", "check", folder)
        self.assertEqual(status, 1)
        self.assertIn(f"{folder}/ca-crl.pem: good: 1 revoked", out)
        self.assertIn(f"{folder}/client-cert.pem: the certificate was revoked", out)
        self.assertIn("1 problem\n", out)


    def object(self, *argv):
        return run(qemu.BINARY, "-nodefaults", "-display", "none", "-M", "none", *argv, "-device", "this-ends-it")

    def assert_taken(self, properties):
        """QEMU makes objects first and stumbles over the device then."""
        status, out = self.object("-object", properties)
        self.assertIn("this-ends-it", out)
        self.assertNotEqual(status, 0)

    def test_qemu_takes_certificates(self):
        for endpoint in ("server", "client"):
            self.assert_taken(f"tls-creds-x509,id=t,dir={self.pki},endpoint={endpoint},verify-peer=on")
        status, out = self.object("-object", f"tls-creds-x509,id=t,dir={self.psk},endpoint=server")
        self.assertNotIn("this-ends-it", out)

    def test_qemu_takes_keys(self):
        self.assert_taken(f"tls-creds-psk,id=t,dir={self.psk},endpoint=server")
        self.assert_taken(f"tls-creds-psk,id=t,dir={self.psk},endpoint=client,username=qemu")


if __name__ == "__main__":
    for tool in ("openssl", "certtool"):
        if not shutil.which(tool):
            print(f"SKIP: needs tools: {tool}")
            sys.exit(77)
    if not qemu.runs("--version"):
        print(f"SKIP: needs qemu: {qemu.BINARY} does not run here")
        sys.exit(77)
    unittest.main(verbosity=2)
