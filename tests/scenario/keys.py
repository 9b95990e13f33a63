# SPDX-License-Identifier: BSD-3-Clause
# keys.py - keys and certificates are made for two ends; what is wrong with some is told, file and reason, before a
# migration finds out
import json
import os
import re
import shutil
import stat
import subprocess
import unittest

from ferry import DONE, FAILED, PATIENCE, USAGE, Case, run

NEEDED = "openssl"
CONF = """[ca]
default_ca=d
[d]
database={work}/index
new_certs_dir={work}
certificate={ca}/ca-cert.pem
private_key={ca}/ca-key.pem
rand_serial=yes
default_md={digest}
policy=p
unique_subject=no
x509_extensions=e
[p]
commonName=supplied
[e]
basicConstraints=CA:FALSE
subjectAltName=DNS:host-a
keyUsage={usage}
extendedKeyUsage={purpose}
"""


def contents(folder):
    found = {}
    for name in os.listdir(folder):
        with open(f"{folder}/{name}", "rb") as f:
            found[name] = f.read()
    return found


def openssl(*argv):
    subprocess.run(["openssl", *argv], stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=PATIENCE)


class Keys(Case):
    def make(self, *argv):
        status, out, err = run("keys", *argv)
        self.assertEqual((status, err), (DONE, ""), out)
        return out

    def folder_for(self, *hosts, name="pki", ca=None):
        folder = self.path(name)
        self.make("x509", folder, *(w for host in hosts for w in ("--host", host)), *(("--ca", ca) if ca else ()))
        return folder

    def check(self, path, *argv):
        """(exit status, lines without their hints)"""
        status, out, err = run("keys", "check", path, *argv)
        self.assertEqual(err, "")
        return status, [line for line in out.splitlines() if not line.startswith("  hint: ")]

    def assert_well(self, path, *argv):
        status, lines = self.check(path, *argv)
        self.assertEqual(status, DONE, lines)
        self.assertTrue(lines[-1].startswith("all is well"), lines)

    def assert_told(self, path, *expected, argv=()):
        """These problems, (file, reason), and no others."""
        status, lines = self.check(path, *argv)
        told = [line for line in lines[:-1] if ": good" not in line]
        self.assertEqual(status, FAILED, lines)
        self.assertEqual(len(told), len(expected), told)
        for name, reason in expected:
            self.assertTrue(any(re.match(rf"\S*{re.escape(name)}: {reason}", line) for line in told), (name, reason, told))
        self.assertEqual(lines[-1], f"{len(expected)} problem{'s' if len(expected) > 1 else ''}")

    def issue(self, folder, side="server", dates=None, purpose="serverAuth", usage="digitalSignature", digest="sha256",
              newkey=("ec", "-pkeyopt", "ec_paramgen_curve:P-256"), ca=None):
        """A certificate of another maker, in place of ours."""
        work = self.path("work")
        os.makedirs(work, exist_ok=True)
        open(f"{work}/index", "w").close()
        with open(f"{work}/conf", "w") as f:
            f.write(CONF.format(work=work, ca=ca or folder, digest=digest, usage=usage, purpose=purpose))
        openssl("req", "-new", "-newkey", *newkey, "-nodes", "-subj", "/CN=host-a", "-keyout",
                f"{folder}/{side}-key.pem", "-out", f"{work}/csr")
        os.chmod(f"{folder}/{side}-key.pem", 0o600)
        openssl("ca", "-batch", "-notext", "-config", f"{work}/conf", "-in", f"{work}/csr", "-out",
                f"{folder}/{side}-cert.pem",
                *(["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "100"]))

    # --- making

    def test_what_is_made_is_well(self):
        out = self.make("x509", self.path("pki"), "--host", "host-a", "--host", "192.0.2.7", "--client", "ferry")
        self.assertEqual(sorted(os.listdir(self.path("pki"))),
                         ["ca-cert.pem", "ca-key.pem", "client-cert.pem", "client-key.pem", "server-cert.pem",
                          "server-key.pem"])
        for line in out.splitlines():
            path, where = line.split(": ", 1)
            self.assertTrue(os.path.exists(path))
            mode = stat.S_IMODE(os.stat(path).st_mode)
            self.assertEqual(mode, 0o600 if "key" in path else 0o644)
            self.assertEqual("secretly" in where or "stays here" in where, "key" in path)
        self.assertEqual(len(out.splitlines()), 6)
        self.assertEqual(stat.S_IMODE(os.stat(self.path("pki")).st_mode), 0o700)
        self.assert_well(self.path("pki"), "--host", "host-a", "--host", "192.0.2.7")

    def test_one_authority_for_two_hosts(self):
        self.make("x509", self.path("ca"))
        a = self.folder_for("host-a", name="a", ca=self.path("ca"))
        b = self.folder_for("host-b", name="b", ca=self.path("ca"))
        self.assertFalse(os.path.exists(f"{a}/ca-key.pem"))
        self.assert_well(a, "--host", "host-a")
        shutil.copy(f"{b}/client-cert.pem", a)
        shutil.copy(f"{b}/client-key.pem", a)
        self.assert_well(a, "--host", "host-a")

    def test_a_renewed_certificate_is_of_the_same_authority(self):
        folder = self.folder_for("host-a")
        before = contents(folder)["ca-cert.pem"]
        status, out, err = run("keys", "x509", folder, "--add", "server", "--host", "host-b")
        self.assertEqual((status, out), (FAILED, ""))
        self.assertIn("is there already", err)
        self.assertIn("hint: ", err)
        self.make("x509", folder, "--add", "server", "--host", "host-b", "--days", "90", "--force")
        self.assert_well(folder, "--host", "host-b")
        self.make("x509", folder, "--add", "client", "--client", "other", "--force")
        self.assert_well(folder, "--host", "host-b")
        self.assertEqual(contents(folder)["ca-cert.pem"], before)

    def test_nothing_is_replaced(self):
        folder = self.folder_for("host-a")
        before = contents(folder)
        status, out, err = run("keys", "x509", folder, "--host", "host-a")
        self.assertEqual((status, out), (FAILED, ""))
        self.assertIn("is there already", err)
        self.assertEqual(contents(folder), before)

    def test_libvirts_layout(self):
        self.make("x509", self.path("pki"), "--host", "host-a", "--libvirt")
        self.assertTrue(os.path.exists(self.path("pki/libvirt/private/serverkey.pem")))
        self.assert_well(self.path("pki"), "--host", "host-a")

    def test_a_file_of_keys(self):
        path = self.path("keys.psk")
        self.make("psk", path)
        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with open(path) as f:
            content = f.read()
        self.assertRegex(content, r"^qemu:[0-9a-f]{64}\n$")
        self.assertEqual(run("keys", "psk", path)[0], FAILED)
        with open(path) as f:
            self.assertEqual(f.read(), content)
        self.make("psk", path, "--identity", "host-a", "--force")
        with open(path) as f:
            self.assertRegex(f.read(), r"^host-a:[0-9a-f]{64}\n$")
        self.assert_well(path)
        self.assert_well(self.folder)

    # --- checking

    def test_dates(self):
        folder = self.folder_for("host-a")
        self.issue(folder, dates=("20200101000000Z", "20210101000000Z"))
        self.assert_told(folder, ("server-cert.pem", "the certificate has expired, on 2021-01-01"))
        self.issue(folder, dates=("20900101000000Z", "20910101000000Z"))
        self.assert_told(folder, ("server-cert.pem", "the certificate is not valid yet, but from 2090-01-01 on"))
        self.make("x509", folder, "--add", "server", "--host", "host-a", "--days", "5", "--force")
        self.assert_well(folder)

    def test_purpose(self):
        folder = self.folder_for("host-a")
        self.issue(folder, purpose="clientAuth")
        self.assert_told(folder, ("server-cert.pem", r"the certificate is not for a TLS server \(extended key usage\)"))
        self.issue(folder, usage="keyEncipherment")
        self.assert_told(folder, ("server-cert.pem", r"the certificate does not permit its key to sign \(key usage\)"))
        self.issue(folder)
        self.issue(folder, side="client")
        self.assert_told(folder, ("client-cert.pem", r"the certificate is not for a TLS client"))

    def test_weak(self):
        folder = self.folder_for("host-a")
        self.issue(folder, newkey=("rsa:1024",))
        self.assert_told(folder, ("server-cert.pem", "the certificate has a key that is too short to be safe"))
        self.issue(folder, digest="sha1")
        self.assert_told(folder, ("server-cert.pem", "the certificate is signed with a hash that is not safe any more"))

    def test_another_authority(self):
        folder, other = self.folder_for("host-a"), self.folder_for("host-a", name="other")
        shutil.copy(f"{other}/ca-cert.pem", folder)
        self.assert_told(folder, ("server-cert.pem", "the certificate is signed by an authority that is not known here"),
                         ("client-cert.pem", "the certificate is signed by an authority that is not known here"),
                         ("ca-key.pem", "the key does not fit the certificate"))

    def test_a_key_of_another_certificate(self):
        folder = self.folder_for("host-a")
        shutil.copy(f"{folder}/client-key.pem", f"{folder}/server-key.pem")
        self.assert_told(folder, ("server-key.pem", "the key does not fit the certificate"))

    def test_names(self):
        folder = self.folder_for("host-a", "192.0.2.7")
        self.assert_told(folder, ("server-cert.pem", "the certificate is not for 'host-b', but for DNS:host-a, IP:192.0.2.7"),
                         ("server-cert.pem", "the certificate is not for '192.0.2.8'"),
                         argv=("--host", "host-b", "--host", "host-a", "--host", "192.0.2.8"))

    def test_files(self):
        folder = self.folder_for("host-a")
        os.chmod(f"{folder}/server-key.pem", 0o644)
        os.remove(f"{folder}/client-key.pem")
        with open(f"{folder}/client-cert.pem", "w") as f:
            f.write("hello\n")
        self.assert_told(folder, ("server-key.pem", r"everybody on this host can read it \(mode 0644\)"),
                         ("client-key.pem", r"there is no client-key.pem \(or clientkey.pem\)"),
                         ("client-cert.pem", "no certificate"))
        self.assert_told(self.path("nowhere"), ("nowhere", "no such file or directory"))
        os.mkdir(self.path("empty"))
        self.assert_told(self.path("empty"), ("empty", "there are neither certificates"))

    def test_lines_of_keys(self):
        path = self.path("keys.psk")
        key = "00112233445566778899aabbccddeeff"
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o604), "w") as f:
            f.write(f"qemu:{key}\nqemu:{key}\nshort:0011\nqemu {key}\nbad:{key}zz\n")
        os.chmod(path, 0o604)
        self.assert_told(path, ("keys.psk", "line 2: this identity has a key already"),
                         ("keys.psk", "line 3: a key is of 32 to 512 hexadecimal digits"),
                         ("keys.psk", "line 4: not of the form identity:key"),
                         ("keys.psk", "line 5: the key is not hexadecimal"),
                         ("keys.psk", "everybody on this host can read it"))
        self.assertNotIn(key, "".join(self.check(path)[1]))

    def test_all_faults_of_a_folder_at_once(self):
        folder, other = self.folder_for("host-a"), self.folder_for("host-a", name="other")
        self.issue(folder, dates=("20200101000000Z", "20210101000000Z"), purpose="clientAuth", ca=other)
        os.chmod(f"{folder}/server-key.pem", 0o644)
        with open(f"{folder}/keys.psk", "w") as f:
            f.write("x")
        os.chmod(f"{folder}/keys.psk", 0o600)
        self.assert_told(folder, ("server-cert.pem", "the certificate has expired"),
                         ("server-cert.pem", "the certificate is not for a TLS server"),
                         ("server-cert.pem", "the certificate is signed by an authority that is not known here"),
                         ("server-cert.pem", "the certificate is not for 'host-b'"),
                         ("server-key.pem", "everybody on this host can read it"),
                         ("keys.psk", "line 1: not of the form identity:key"), argv=("--host", "host-b"))

    def test_json(self):
        folder = self.folder_for("host-a")
        status, out, err = run("keys", "check", folder, "--json", "-")
        report = json.loads(out)
        self.assertEqual(status, DONE)
        self.assertIn("all is well", err)
        self.assertEqual((report["good"], report["problems"], report["source"], report["destination"]),
                         (True, 0, True, True))
        os.chmod(f"{folder}/server-key.pem", 0o644)
        status, out, err = run("keys", "check", folder, "--json", self.path("report"))
        with open(self.path("report")) as f:
            report = json.load(f)
        self.assertEqual((status, err), (FAILED, ""))
        self.assertIn("server-key.pem: everybody", out)
        files = {os.path.basename(file["path"]): file for file in report["files"]}
        self.assertEqual((report["good"], report["problems"]), (False, 1))
        self.assertEqual([p["defect"] for p in files["server-key.pem"]["problems"]], ["open-to-others"])
        self.assertEqual(files["server-cert.pem"]["problems"], [])
        self.assertRegex(files["server-cert.pem"]["about"], r"^CN=host-a \(DNS:host-a\), EC of 256 bits, good until 20")

    # --- what cannot be done

    def refused(self, *argv, says):
        status, out, err = run("keys", *argv)
        self.assertEqual((status, out), (USAGE, ""), err)
        self.assertIn(says, err)
        self.assertIn("--help'", err)

    def test_usage(self):
        path = self.path("new")
        self.refused(says="psk, x509 or check is missing")
        self.refused("frobnicate", says="unknown word 'frobnicate'")
        self.refused("x509", says="the DIR is missing")
        self.refused("x509", path, "--host", "a b", says="'a b' is neither the name of a host nor an address")
        self.refused("x509", path, "--host", "a", "--days", "0", says="1 to 36500 days")
        self.refused("x509", path, "--host", "a", "--days", "x", says="--days")
        self.refused("x509", path, "--add", "both", says="'both' is neither 'server' nor 'client'")
        self.refused("x509", path, "--add", "server", says="--add server needs --host NAME")
        self.refused("x509", path, "--add", "client", says="--add client needs --client NAME")
        self.refused("x509", path, "--ca", path, says="--ca needs --host NAME")
        self.refused("psk", path, "--identity", "a:b", says="no ':'")
        self.assertFalse(os.path.exists(path))
        status, _, err = run("keys", "x509", path, "--add", "server", "--host", "a")
        self.assertEqual(status, FAILED)
        self.assertIn("there is no ca-cert.pem", err)

    def test_help_fits_a_screen(self):
        for argv in ([], ["psk"], ["x509"], ["check"]):
            status, out, err = run("keys", *argv, "--help")
            self.assertEqual((status, err), (DONE, ""))
            self.assertLessEqual(len(out.splitlines()), 40)
            self.assertLessEqual(max(map(len, out.splitlines())), 80, out)
            self.assertIn("Examples:", out)


if __name__ == "__main__":
    if not shutil.which(NEEDED):
        print(f"SKIP: needs tools: {NEEDED}")
        raise SystemExit(77)
    unittest.main(verbosity=2)
