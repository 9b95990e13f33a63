#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
# tls_strangers.py - OpenSSL's and GnuTLS's own programs shake hands with ours, or are refused with the reason
import os
import queue
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

PEER = os.environ["TLS_PEER"]
PATIENCE = 120
KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
OTHER_KEY = "ff" * 32
QEMU_PSK = "NORMAL:+ECDHE-PSK:+DHE-PSK:+PSK"
OLD_ONLY = "NORMAL:-VERS-ALL:+VERS-TLS1.2"
# Debian's OpenSSL refuses TLS 1.1 by itself unless told otherwise.
NOT_OURS = "signed by an authority that is not known here|is not one that is trusted here"  # with and without its chain
ANCIENT = ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]


class Certificates:
    """Folders with QEMU's names, made by the openssl program."""

    def __init__(self):
        self.root = tempfile.mkdtemp(prefix="ferry-strangers-")
        self.good = self.folder("good")
        self.stranger = self.folder("stranger")
        self.issue(self.good, "server", "DNS:localhost,IP:127.0.0.1", "serverAuth")
        self.issue(self.good, "client", "DNS:source", "clientAuth")
        self.issue(self.stranger, "client", "DNS:source", "clientAuth")
        self.issue(self.stranger, "server", "DNS:localhost,IP:127.0.0.1", "serverAuth")
        for name, names, purpose, dates in (
                ("expired", "IP:127.0.0.1", None, ("20200101000000Z", "20210101000000Z")),
                ("wrongname", "DNS:elsewhere.example.com", "serverAuth", None),
                ("asclient", "IP:127.0.0.1", "clientAuth", None),
                ("asserver", "IP:127.0.0.1", "serverAuth", None)):
            self.issue(self.good, name, names, purpose, dates)
        self.psk = os.path.join(self.root, "keys.psk")
        with open(self.psk, "w") as f:
            f.write(f"qemu:{KEY}\n")

    def run(self, *arguments):
        done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=PATIENCE)
        if done.returncode:
            raise AssertionError(f"openssl {' '.join(arguments)}: {done.stderr}")

    def folder(self, name):
        folder = os.path.join(self.root, name)
        os.makedirs(os.path.join(folder, "new"))
        self.run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "5",
                 "-subj", f"/O=Ferry/CN={name} authority", "-keyout", f"{folder}/ca-key.pem",
                 "-out", f"{folder}/ca-cert.pem")
        open(f"{folder}/index", "w").close()
        return folder

    def issue(self, folder, name, names, purpose, dates=None):
        with open(f"{folder}/{name}.conf", "w") as f:
            f.write(f"[ca]\ndefault_ca=d\n[d]\ndatabase={folder}/index\nnew_certs_dir={folder}/new\n"
                    f"certificate={folder}/ca-cert.pem\nprivate_key={folder}/ca-key.pem\nrand_serial=yes\n"
                    "default_md=sha256\npolicy=p\nunique_subject=no\nx509_extensions=e\n[p]\ncommonName=supplied\n"
                    f"[e]\nbasicConstraints=CA:FALSE\nkeyUsage=digitalSignature\nsubjectAltName={names}\n"
                    + (f"extendedKeyUsage={purpose}\n" if purpose else ""))
        self.run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                 "-subj", f"/CN={name}", "-keyout", f"{folder}/{name}-key.pem", "-out", f"{folder}/{name}.csr")
        self.run("ca", "-batch", "-notext", "-config", f"{folder}/{name}.conf", "-in", f"{folder}/{name}.csr",
                 "-out", f"{folder}/{name}-cert.pem",
                 *(["-startdate", dates[0], "-enddate", dates[1]] if dates else ["-days", "5"]))

    def pair(self, name, folder=None):
        return f"{folder or self.good}/{name}-cert.pem", f"{folder or self.good}/{name}-key.pem"


class Program:
    """A program whose lines can be waited for."""

    def __init__(self, *arguments):
        self.name = os.path.basename(arguments[0])
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.lines, self.seen = queue.Queue(), []
        self.collector = threading.Thread(target=self.collect, daemon=True)
        self.collector.start()

    def collect(self):
        for line in self.process.stdout:
            self.lines.put(line.decode(errors="replace").rstrip())
        self.lines.put(None)

    def until(self, *starts):
        """The next line that contains one of @starts."""
        while True:
            try:
                line = self.lines.get(timeout=PATIENCE)
            except queue.Empty:
                line = None
            if line is None:
                raise AssertionError(f"{self.name} did not say {starts}, but:\n" + "\n".join(self.seen[-25:]))
            self.seen.append(line)
            if any(start in line for start in starts):
                return line

    def say(self, text):
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def hang_up(self):
        self.process.stdin.close()

    def end(self):
        self.process.kill()
        self.process.wait()
        self.collector.join(PATIENCE)
        self.process.stdout.close()
        try:
            self.process.stdin.close()
        except OSError:
            pass


class Case(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.certs = Certificates()
        cls.started = []

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.certs.root)

    def tearDown(self):
        while self.started:
            self.started.pop().end()

    def start(self, *arguments):
        program = Program(*arguments)
        self.started.append(program)
        return program

    def stop(self, program):
        self.started.remove(program)
        program.end()


class OurServer(Case):
    def serve(self, *options):
        server = self.start(PEER, "serve", "tcp:127.0.0.1:0", *options)
        self.port = server.until("listens").rsplit(":", 1)[1]
        return server

    def openssl(self, *options):
        return self.start("openssl", "s_client", "-connect", f"127.0.0.1:{self.port}", *options)

    def gnutls(self, *options):
        return self.start("gnutls-cli", "-p", self.port, *options, "127.0.0.1")

    def good_openssl(self, *more):
        cert, key = self.certs.pair("client")
        return self.openssl("-CAfile", f"{self.certs.good}/ca-cert.pem", "-cert", cert, "-key", key,
                            "-verify_return_error", *more)

    def good_gnutls(self, *more):
        cert, key = self.certs.pair("client")
        return self.gnutls("--x509cafile", f"{self.certs.good}/ca-cert.pem", "--x509certfile", cert,
                           "--x509keyfile", key, *more)

    def echoes(self, server, client, agreed, polite=True):
        self.assertIn(agreed, server.until("agreed", "refused", "broken"))
        client.say("hello there\n")
        client.until("hello there")
        client.hang_up()
        if polite:
            self.assertIn("ended well", server.until("ended", "broken"))
        self.stop(client)

    def refuses(self, server, client, code, text, event="refused"):
        line = server.until("agreed", "refused", "broken")
        if event == "broken":
            self.assertIn("agreed", line)
            line = server.until("ended", "broken")
        self.assertIn(f"{event} {code} ", line)
        self.assertIn(text, line)
        if client:
            self.stop(client)

    def test_certificates(self):
        server = self.serve("--x509", self.certs.good)
        self.echoes(server, self.good_openssl(), "agreed 1.3 aes-128-gcm certificate 'CN=client'")
        self.echoes(server, self.good_gnutls(), "agreed 1.3")
        stranger = self.certs.pair("client", self.certs.stranger)
        expired, asserver = self.certs.pair("expired"), self.certs.pair("asserver")
        for (cert, key), text in (
                (stranger, "the certificate of 'CN=client' is signed by an authority that is not known here"),
                (expired, "the certificate of 'CN=expired' has expired"),
                (asserver, "the certificate of 'CN=asserver' is for another purpose")):
            self.refuses(server, self.openssl("-cert", cert, "-key", key, "-no-CAfile"), "tls-untrusted", text)
            self.refuses(server, self.gnutls("--insecure", "--x509certfile", cert, "--x509keyfile", key),
                         "tls-untrusted", text)
        self.refuses(server, self.openssl(), "tls-untrusted", "the other end has no certificate, and one is wanted")
        self.refuses(server, self.gnutls("--insecure"), "tls-untrusted", "the other end has no certificate")
        self.refuses(server, self.good_openssl("-tls1_2"), "tls-refused", "nothing newer than TLS 1.2, and TLS 1.3 is")
        self.refuses(server, self.good_openssl(*ANCIENT), "tls-refused", "nothing newer than TLS 1.1, and TLS 1.3 is")
        self.refuses(server, self.gnutls("--insecure", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.1:%COMPAT"),
                     "tls-refused", "nothing newer than TLS 1.1")
        self.echoes(server, self.good_openssl(), "agreed 1.3")

    def test_who_is_authorised(self):
        server = self.serve("--x509", self.certs.good, "--authorise", "CN=other;DNS:elsewhere")
        self.refuses(server, self.good_openssl(), "tls-untrusted", "matches none of the subjects that are authorised")
        server = self.serve("--x509", self.certs.good, "--authorise", "CN=other;DNS:sou*")
        self.echoes(server, self.good_openssl(), "agreed 1.3")

    def test_what_is_no_tls(self):
        server = self.serve("--x509", self.certs.good)
        for first, text in ((b"QEVM\0\0\0\3", "a migration stream without TLS"), (b"GET / HTTP/1.0\r\n\r\n", "HTTP"),
                            (b"FRHY" + bytes(12), "a ferry connection without TLS")):
            with socket.create_connection(("127.0.0.1", int(self.port)), PATIENCE) as plain:
                plain.sendall(first)
                self.refuses(server, None, "tls-expected", f"the other end sent {'an ' if text == 'HTTP' else ''}{text}")
        with socket.create_connection(("127.0.0.1", int(self.port)), PATIENCE):
            pass
        self.refuses(server, None, "tls-expected", "hung up")
        self.echoes(server, self.good_gnutls(), "agreed 1.3")

    def test_who_is_cut_off(self):
        server = self.serve("--x509", self.certs.good)
        client = self.good_openssl()
        server.until("agreed")
        client.say("hello there\n")
        client.until("hello there")
        client.process.kill()
        line = server.until("ended", "broken")
        self.assertRegex(line, "broken (stream-ended .*cut off|connection-lost)")
        self.echoes(server, self.good_openssl(), "agreed 1.3")

    def test_new_keys_that_they_ask_for(self):
        server = self.serve("--x509", self.certs.good)
        client = self.good_openssl()
        server.until("agreed")
        for _ in range(3):
            client.say("K\n")
            client.until("KEYUPDATE")
            client.say("hello there\n")
            client.until("hello there")
        client.hang_up()
        self.assertIn("ended well", server.until("ended", "broken"))

    def test_older_tls_and_renegotiation(self):
        server = self.serve("--x509", self.certs.good, "--tls12")
        self.echoes(server, self.good_openssl("-tls1_2"), "agreed 1.2 aes-128-gcm certificate")
        self.echoes(server, self.good_gnutls("--priority", OLD_ONLY), "agreed 1.2")
        self.echoes(server, self.good_openssl("-tls1_2", "-cipher", "ECDHE-ECDSA-CHACHA20-POLY1305"),
                    "agreed 1.2 chacha20-poly1305")
        self.refuses(server, self.good_openssl(*ANCIENT), "tls-refused", "nothing newer than TLS 1.1, and TLS 1.2 is")
        client = self.good_openssl("-tls1_2")
        server.until("agreed")
        client.say("R\n")
        line = server.until("ended", "broken")
        self.assertIn("broken tls-refused", line)
        self.assertIn("wants to renegotiate", line)
        self.stop(client)
        self.echoes(server, self.good_openssl(), "agreed 1.3")

    def test_keys_of_a_file(self):
        server = self.serve("--psk", self.certs.psk)
        self.echoes(server, self.openssl("-psk", KEY, "-psk_identity", "qemu"), "agreed 1.3 aes-128-gcm psk 'qemu'")
        self.echoes(server, self.gnutls("--pskusername", "qemu", "--pskkey", KEY, "--priority", QEMU_PSK),
                    "agreed 1.3 aes-128-gcm psk 'qemu'")
        self.refuses(server, self.openssl("-psk", KEY, "-psk_identity", "nobody"), "tls-untrusted",
                     "there is no key for the identity 'nobody'")
        self.refuses(server, self.gnutls("--pskusername", "nobody", "--pskkey", KEY, "--priority", QEMU_PSK),
                     "tls-untrusted", "there is no key for the identity 'nobody'")
        self.refuses(server, self.openssl("-psk", OTHER_KEY, "-psk_identity", "qemu"), "tls-untrusted",
                     "another key for its PSK identity")
        self.refuses(server, self.good_openssl(), "tls-refused", "no kind of credentials that is accepted here")
        server = self.serve("--psk", self.certs.psk, "--tls12")
        self.echoes(server, self.openssl("-tls1_2", "-psk", KEY, "-psk_identity", "qemu", "-cipher", "PSK"),
                    "agreed 1.2 aes-128-gcm psk 'qemu'")
        # Its own report on such a session ends gnutls-cli 3.7 with a segmentation fault; hands were shaken by then.
        client = self.gnutls("--pskusername", "qemu", "--pskkey", KEY, "--priority",
                             OLD_ONLY + ":+ECDHE-PSK:+DHE-PSK:+PSK")
        self.assertIn("agreed 1.2", server.until("agreed", "refused"))
        self.stop(client)
        server.until("ended", "broken")
        self.refuses(server, self.gnutls("--pskusername", "nobody", "--pskkey", KEY, "--priority",
                                         OLD_ONLY + ":+ECDHE-PSK:+DHE-PSK:+PSK"),
                     "tls-untrusted", "there is no key for the identity 'nobody'")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


class OurClient(Case):
    def openssl(self, *options):
        self.port = free_port()
        server = self.start("openssl", "s_server", "-accept", f"127.0.0.1:{self.port}", "-rev", *options)
        server.until("ACCEPT")
        return server

    def gnutls(self, *options):
        self.port = free_port()
        server = self.start("gnutls-serv", "-p", self.port, "--echo", *options)
        server.until("...done")
        return server

    def servers(self, name, folder=None):
        cert, key = self.certs.pair(name, folder)
        ca = f"{self.certs.good}/ca-cert.pem"
        yield self.openssl("-cert", cert, "-key", key, "-CAfile", ca, "-Verify", "2", "-verify_return_error")
        yield self.gnutls("--x509cafile", ca, "--x509certfile", cert, "--x509keyfile", key, "--require-client-cert",
                          "--verify-client-cert")

    def connect(self, *options):
        done = subprocess.run([PEER, "connect", f"tcp:127.0.0.1:{self.port}", *options], stdin=subprocess.DEVNULL,
                              capture_output=True, text=True, timeout=PATIENCE)
        return done.stdout.splitlines() + done.stderr.splitlines()

    def agrees(self, agreed, *options):
        lines = self.connect(*options)
        self.assertIn(agreed, lines[0])
        self.assertIn(lines[1], ("heard ferry", "heard yrref"))
        self.assertEqual(lines[2], "ended well")

    def refuses(self, code, text, *options):
        lines = self.connect(*options)
        self.assertIn(f"{code} ", lines[-1])
        self.assertRegex(lines[-1], text)

    def test_certificates(self):
        for server in self.servers("server"):
            self.agrees("agreed 1.3 aes-128-gcm certificate 'CN=server'", "--x509", self.certs.good)
            self.agrees("agreed 1.3 aes-256-gcm", "--x509", self.certs.good, "--ciphers", "aes-256-gcm")
            self.refuses("tls-untrusted", "is for another name; it is for DNS:localhost, IP:127.0.0.1",
                         "--x509", self.certs.good, "--hostname", "elsewhere")
            self.refuses("tls-untrusted", NOT_OURS, "--x509", self.certs.stranger)
            self.refuses("tls-refused", "the other end does not (accept our certificate|let us in)", "--x509",
                         self.certs.stranger, "--no-verify")
            self.stop(server)

    def test_servers_that_are_not_believed(self):
        for name, folder, text in (("server", self.certs.stranger, NOT_OURS),
                                   ("expired", None, "has expired"),
                                   ("wrongname", None, "is for another address; it is for DNS:elsewhere.example.com"),
                                   ("asclient", None, "is for another purpose")):
            for server in self.servers(name, folder):
                self.refuses("tls-untrusted", text, "--x509", self.certs.good)
                self.stop(server)

    def test_without_a_certificate(self):
        folder = os.path.join(self.certs.root, "bare")
        os.makedirs(folder, exist_ok=True)
        shutil.copy(f"{self.certs.good}/ca-cert.pem", folder)
        for server in self.servers("server"):
            self.refuses("tls-refused", "the other end (wants a certificate, and we have none|did not expect)", "--x509",
                         folder)
            self.stop(server)

    def test_older_tls(self):
        cert, key = self.certs.pair("server")
        self.openssl("-cert", cert, "-key", key, "-tls1_2")
        self.refuses("tls-refused", "TLS 1.3 is the least", "--x509", self.certs.good)
        self.agrees("agreed 1.2 aes-128-gcm", "--x509", self.certs.good, "--tls12")
        self.openssl("-cert", cert, "-key", key, *ANCIENT)
        self.refuses("tls-refused", "TLS 1.2 is the least", "--x509", self.certs.good, "--tls12")

    def test_keys_of_a_file(self):
        self.openssl("-psk", KEY, "-psk_identity", "qemu", "-nocert")
        self.agrees("agreed 1.3 aes-128-gcm psk 'qemu'", "--psk", self.certs.psk)
        self.openssl("-psk", OTHER_KEY, "-psk_identity", "qemu", "-nocert")
        self.refuses("tls-refused", "the other end", "--psk", self.certs.psk)
        self.gnutls("--pskpasswd", self.certs.psk, "--priority", QEMU_PSK)
        self.agrees("agreed 1.3 aes-128-gcm psk 'qemu'", "--psk", self.certs.psk)
        self.gnutls("--pskpasswd", self.certs.psk, "--priority", OLD_ONLY + ":+ECDHE-PSK:+DHE-PSK:+PSK")
        self.agrees("agreed 1.2", "--psk", self.certs.psk, "--tls12", "--ciphers", "aes-256-gcm")

    def test_one_with_a_certificate_instead_of_the_key(self):
        for server in self.servers("server"):
            self.refuses("tls-untrusted", "the other end shows a certificate and does not know our key", "--psk", self.certs.psk)
            self.stop(server)

    def test_one_that_speaks_no_tls(self):
        for answer, text in ((b"HTTP/1.0 400 Bad Request\r\n\r\n", "the other end answered with an HTTP answer"),
                             (b"QEVM\0\0\0\3", "the other end answered with a migration stream without TLS"),
                             (b"", "perhaps it does not speak TLS")):
            with socket.create_server(("127.0.0.1", 0)) as listener:
                self.port = str(listener.getsockname()[1])

                def reply():
                    plain, _ = listener.accept()
                    with plain:
                        plain.recv(65536)
                        plain.sendall(answer)
                        plain.shutdown(socket.SHUT_WR)
                        plain.recv(65536)

                thread = threading.Thread(target=reply, daemon=True)
                thread.start()
                self.refuses("tls-expected", text, "--x509", self.certs.good)
                thread.join(PATIENCE)


if __name__ == "__main__":
    for tool in ("openssl", "gnutls-cli", "gnutls-serv"):
        if not shutil.which(tool):
            print(f"SKIP: needs tools: {tool}")
            sys.exit(77)
    unittest.main()
