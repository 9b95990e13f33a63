/* SPDX-License-Identifier: BSD-3-Clause */
/* tls_credentials_test.c - who is let in, who is not, and that the sentence says why */
#include "authorise.h"
#include "psk.h"
#include "sniff.h"
#include "tls_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64], strangers[64];

static int set_up(void **state)
{
    fixture_folder(folder);
    fixture_fill(folder);
    fixture_folder(strangers);
    fixture_fill(strangers);
    return 0;
}

static int tear_down(void **state)
{
    fixture_remove(folder);
    fixture_remove(strangers);
    return 0;
}

static void assert_says(const struct ferry_error *err, enum ferry_code code, const char *text)
{
    if (err->code != code || !strstr(err->text, text))
        fail_msg("code %s, '%s' instead of '%s'", ferry_code_name(err->code), ferry_error_text(err), text);
}

/* --- reading files ------------------------------------------------------------------------------------------------ */

static void assert_not_loaded(const struct tls_terms *terms, const char *text)
{
    struct ferry_error err = { 0 };

    assert_null(tls_credentials_new(terms, &err));
    assert_says(&err, FERRY_E_TLS_CREDENTIALS, text);
}

static void move(const char *from, const char *to)
{
    char old[160], new[160];

    snprintf(old, sizeof(old), "%s/%s", folder, from);
    snprintf(new, sizeof(new), "%s/%s", folder, to);
    assert_int_equal(rename(old, new), 0);
}

static void a_missing_file_is_named(void **state)
{
    struct tls_terms server = { .side = TLS_SERVER, .folder = folder }, client = { .folder = folder };

    assert_not_loaded(&(struct tls_terms){ .folder = "/nowhere/at/all" }, "/nowhere/at/all: no such file");
    assert_not_loaded(&(struct tls_terms){ .psk = "/nowhere/keys" }, "/nowhere/keys: no such file");
    assert_not_loaded(&(struct tls_terms){ 0 }, "either a folder of certificates or a file of keys");
    move("server-key.pem", "x");
    assert_not_loaded(&server, "there is no server-key.pem (or serverkey.pem)");
    move("x", "server-key.pem");
    move("client-cert.pem", "x");
    assert_not_loaded(&client, "client-key.pem: there is a key, but no certificate for it");
    move("x", "client-cert.pem");
    move("ca-cert.pem", "x");
    assert_not_loaded(&client, "there is no ca-cert.pem (or cacert.pem)");
    move("x", "ca-cert.pem");
    tls_credentials_unref(fixture_credentials(TLS_SERVER, &server));
}

static void libvirts_names_will_do(void **state)
{
    struct tls_terms terms = { .folder = folder };
    char path[160];

    snprintf(path, sizeof(path), "%s/private", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    move("ca-cert.pem", "cacert.pem");
    move("server-cert.pem", "servercert.pem");
    move("server-key.pem", "private/serverkey.pem");
    tls_credentials_unref(fixture_credentials(TLS_SERVER, &terms));
    move("private/serverkey.pem", "server-key.pem");
    move("servercert.pem", "server-cert.pem");
    move("cacert.pem", "ca-cert.pem");
}

static void a_file_that_is_none_is_named(void **state)
{
    struct tls_terms terms = { .side = TLS_SERVER, .folder = folder };

    move("server-cert.pem", "x");
    fixture_write(folder, "server-cert.pem", "not a certificate\n");
    assert_not_loaded(&terms, "server-cert.pem: no certificate");
    move("x", "server-cert.pem");
    move("server-key.pem", "x");
    fixture_write(folder, "server-key.pem", "not a key\n");
    assert_not_loaded(&terms, "server-key.pem: no private key");
    move("x", "server-key.pem");
    move("ca-cert.pem", "x");
    fixture_write(folder, "ca-cert.pem", "no authority\n");
    assert_not_loaded(&terms, "ca-cert.pem: no certificate of an authority");
    move("x", "ca-cert.pem");
}

/* A key with a password is refused, never asked about. */
static void a_key_with_a_password_is_named(void **state)
{
    struct tls_terms terms = { .side = TLS_SERVER, .folder = folder };
    EVP_PKEY *key = EVP_EC_gen("P-256");
    char path[160];
    FILE *stream;

    move("server-key.pem", "x");
    snprintf(path, sizeof(path), "%s/server-key.pem", folder);
    stream = fopen(path, "w");
    assert_non_null(stream);
    assert_int_equal(PEM_write_PrivateKey(stream, key, EVP_aes_128_cbc(), (unsigned char *)"secret", 6, NULL, NULL), 1);
    fclose(stream);
    EVP_PKEY_free(key);
    assert_not_loaded(&terms, "or one that needs a password");
    move("x", "server-key.pem");
}

static void our_own_certificate_is_judged_before_others_do(void **state)
{
    static const struct {
        struct fixture_certificate say;
        const char *text;
    } cases[] = {
        { { "server", "a", "DNS:a", "serverAuth", -20, -10, NULL, false },
          "server-cert.pem: the certificate has expired" },
        { { "server", "a", "DNS:a", "serverAuth", 5, 10, NULL, false },
          "server-cert.pem: the certificate is not valid yet" },
        { { "server", "a", "DNS:a", "clientAuth", 0, 0, NULL, false }, "the certificate is not for a TLS server" },
        { { "server", "a", "DNS:a", "serverAuth", 0, 0, strangers, false },
          "signed by an authority that is not known" },
    };
    struct tls_terms terms = { .side = TLS_SERVER, .folder = folder };

    move("server-key.pem", "y");
    move("server-cert.pem", "x");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_issue(folder, &cases[i].say);
        assert_not_loaded(&terms, cases[i].text);
    }
    move("x", "server-cert.pem");
    assert_not_loaded(&terms, "server-key.pem: the key does not fit the certificate");
    move("y", "server-key.pem");
}

static void keys_of_a_file(void **state)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        { "", "there is no key in it" },
        { "# nothing\n", "there is no key in it" },
        { "qemu\n", "line 1: not of the form identity:key" },
        { "\nqemu:0011\n", "line 2: a key is of 32 to 512" },
        { "qemu:00112233445566778899aabbccddeefg\n", "line 1: the key is not hexadecimal" },
        { "qemu:00112233445566778899aabbccddeef\n", "line 1: a key is of" },
        { ":00112233445566778899aabbccddeeff\n", "line 1: an identity is of" },
        { "a:00112233445566778899aabbccddeeff\na:00112233445566778899aabbccddeeff\n",
          "line 2: this identity has a key" },
        { "a:00112233445566778899aabbccddeeff\n", "there is no key for the identity 'qemu'" },
    };
    char path[160];

    snprintf(path, sizeof(path), "%s/bad.psk", folder);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_write(folder, "bad.psk", cases[i].text);
        assert_not_loaded(&(struct tls_terms){ .psk = path }, cases[i].says);
    }
}

static void a_cipher_that_keys_cannot_have_is_refused(void **state)
{
    struct tls_terms terms = { .psk = folder, .ciphers = "aes-256-gcm" };
    struct ferry_error err = { 0 };

    assert_null(tls_credentials_new(&terms, &err));
    assert_says(&err, FERRY_E_BAD_OPTION, "bound to SHA-256");
    terms.ciphers = "des";
    assert_null(tls_credentials_new(&terms, &err));
    assert_says(&err, FERRY_E_BAD_OPTION, "'des' is no cipher");
}

/* --- meeting ------------------------------------------------------------------------------------------------------ */

struct meeting {
    struct tls_terms client, server;
    const char *host;
    enum ferry_code client_code, server_code;
    const char *client_says, *server_says; /* NULL: succeeds */
};

/* A client of TLS 1.3 that succeeded may have been refused all the same: its first read says so. */
static void first_read(struct ferry_channel *chan, struct ferry_error *err)
{
    char byte;

    if (ferry_channel_readv(chan, &(struct iovec){ &byte, 1 }, 1, err) >= 0)
        fail_msg("nobody said no");
}

static void meet(const struct meeting *meeting)
{
    struct tls_credentials *client = fixture_credentials(TLS_CLIENT, &meeting->client);
    struct tls_credentials *server = fixture_credentials(TLS_SERVER, &meeting->server);
    struct ferry_channel *inner[2];
    struct fixture_pair pair;

    assert_int_equal(ferry_channel_pair(inner, NULL), 0);
    fixture_shake(&pair, inner, client, meeting->host, server);
    if (meeting->server_says) {
        assert_null(pair.server);
        assert_says(&pair.server_error, meeting->server_code, meeting->server_says);
    } else if (!pair.server) {
        fail_msg("%s", pair.server_error.text);
    }
    if (meeting->client_says) {
        if (pair.client)
            first_read(pair.client, &pair.client_error);
        assert_says(&pair.client_error, meeting->client_code, meeting->client_says);
    } else if (!pair.client) {
        fail_msg("%s", pair.client_error.text);
    }
    fixture_drop(&pair);
    tls_credentials_unref(client);
    tls_credentials_unref(server);
}

static void whoever_can_prove_it_comes_in(void **state)
{
    struct meeting good[] = {
        { .client = { .folder = folder }, .server = { .folder = folder }, .host = FIXTURE_HOST },
        { .client = { .folder = folder }, .server = { .folder = folder }, .host = "127.0.0.1" },
        { .client = { .folder = folder, .hostname = FIXTURE_HOST }, .server = { .folder = folder }, .host = "other" },
        { .client = { .folder = folder, .hostname = FIXTURE_HOST }, .server = { .folder = folder } },
        { .client = { .folder = folder, .no_verify = true }, .server = { .folder = strangers, .no_verify = true } },
        { .client = { .folder = folder },
          .server = { .folder = folder, .authorise = "nobody; CN=source.*,O=Ferry" },
          .host = FIXTURE_HOST },
        { .client = { .psk = folder }, .server = { .psk = folder } },
        { .client = { .psk = folder, .identity = "other" }, .server = { .psk = folder, .authorise = "oth*" } },
    };

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        meet(&good[i]);
}

static void whoever_cannot_stays_out_and_is_told(void **state)
{
    struct meeting bad[] = {
        { .client = { .folder = folder },
          .server = { .folder = folder },
          .host = "other.example.com",
          .client_code = FERRY_E_TLS_UNTRUSTED,
          .client_says = "is for another name; it is for DNS:" FIXTURE_HOST ", IP:127.0.0.1",
          .server_code = FERRY_E_TLS_REFUSED,
          .server_says = "does not accept our certificate" },
        { .client = { .folder = folder },
          .server = { .folder = folder },
          .host = "127.0.0.2",
          .client_code = FERRY_E_TLS_UNTRUSTED,
          .client_says = "is for another address",
          .server_code = FERRY_E_TLS_REFUSED,
          .server_says = "does not accept our certificate" },
        { .client = { .folder = strangers },
          .server = { .folder = folder },
          .host = FIXTURE_HOST,
          .client_code = FERRY_E_TLS_UNTRUSTED,
          .client_says = "is not one that is trusted here",
          .server_code = FERRY_E_TLS_REFUSED,
          .server_says = "does not know the authority" },
        { .client = { .folder = strangers, .no_verify = true },
          .server = { .folder = folder },
          .client_code = FERRY_E_TLS_REFUSED,
          .client_says = "does not know the authority that signed it",
          .server_code = FERRY_E_TLS_UNTRUSTED,
          .server_says = "is not one that is trusted here" },
        { .client = { .folder = folder },
          .server = { .folder = folder, .authorise = "CN=other,*;*.example.org" },
          .host = FIXTURE_HOST,
          .client_code = FERRY_E_TLS_REFUSED,
          .client_says = "the other end",
          .server_code = FERRY_E_TLS_UNTRUSTED,
          .server_says = "matches none of the subjects that are authorised" },
        { .client = { .psk = folder },
          .server = { .psk = folder, .authorise = "oth*" },
          .client_code = FERRY_E_TLS_REFUSED,
          .client_says = "the other end",
          .server_code = FERRY_E_TLS_UNTRUSTED,
          .server_says = "the identity 'qemu' matches none" },
        { .client = { .psk = folder },
          .server = { .folder = folder },
          .client_code = FERRY_E_TLS_UNTRUSTED,
          .client_says = "shows a certificate and does not know our key",
          .server_code = FERRY_E_TLS_REFUSED,
          .server_says = "the other end" },
        { .client = { .folder = folder },
          .server = { .psk = folder },
          .host = FIXTURE_HOST,
          .client_code = FERRY_E_TLS_REFUSED,
          .client_says = "the other end",
          .server_code = FERRY_E_TLS_REFUSED,
          .server_says = "no kind of credentials that is accepted here" },
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        meet(&bad[i]);
}

static void another_key_or_identity_stays_out(void **state)
{
    char other[160];
    struct meeting bad = { .client = { .psk = other }, .server = { .psk = folder } };

    snprintf(other, sizeof(other), "%s/other.psk", folder);
    fixture_write(folder, "other.psk", "qemu:ffffffffffffffffffffffffffffffff\n");
    bad.client_code = FERRY_E_TLS_REFUSED;
    bad.client_says = "the other end";
    bad.server_code = FERRY_E_TLS_UNTRUSTED;
    bad.server_says = "another key for its PSK identity";
    meet(&bad);
    fixture_write(folder, "other.psk", "stranger:ffffffffffffffffffffffffffffffff\n");
    bad.client.identity = "stranger";
    bad.server_says = "there is no key for the identity 'stranger'";
    meet(&bad);
}

static void who_has_no_certificate_stays_out(void **state)
{
    struct meeting bad = { .client = { .folder = folder },
                           .server = { .folder = folder },
                           .host = FIXTURE_HOST,
                           .client_code = FERRY_E_TLS_REFUSED,
                           .client_says = "wants a certificate, and we have none",
                           .server_code = FERRY_E_TLS_UNTRUSTED,
                           .server_says = "has no certificate" };
    struct tls_terms terms = { .folder = folder };
    struct tls_credentials *client, *server = fixture_credentials(TLS_SERVER, &terms);
    struct ferry_channel *inner[2];
    struct fixture_pair pair;

    move("client-cert.pem", "x");
    move("client-key.pem", "y");
    client = fixture_credentials(TLS_CLIENT, &terms);
    meet(&bad);
    move("x", "client-cert.pem");
    move("y", "client-key.pem");
    /* A name to check is needed before a byte is sent. */
    assert_int_equal(ferry_channel_pair(inner, NULL), 0);
    assert_null(tls_channel_new(inner[0], client, NULL, &pair.client_error));
    assert_says(&pair.client_error, FERRY_E_TLS_CREDENTIALS, "tls-hostname");
    ferry_channel_unref(inner[0]);
    ferry_channel_unref(inner[1]);
    tls_credentials_unref(client);
    tls_credentials_unref(server);
}

static void who_was_revoked_stays_out(void **state)
{
    struct meeting bad = { .client = { .folder = folder },
                           .server = { .folder = folder },
                           .host = FIXTURE_HOST,
                           .client_code = FERRY_E_TLS_REFUSED,
                           .client_says = "it was revoked",
                           .server_code = FERRY_E_TLS_UNTRUSTED,
                           .server_says = "was revoked" };

    move("client-cert.pem", "x");
    move("client-key.pem", "y");
    fixture_issue(folder, &(struct fixture_certificate){
                              .file = "client", .subject = "gone", .purpose = "clientAuth", .revoked = true });
    meet(&bad);
    move("x", "client-cert.pem");
    move("y", "client-key.pem");
    move("ca-crl.pem", "x");
}

/* --- no TLS at all ------------------------------------------------------------------------------------------------ */

static void plain_text_is_told_from_tls(void **state)
{
    static const struct {
        const char *first, *says;
        size_t bytes;
    } cases[] = {
        { "QEVM\0\0\0\3", "it is required here, and the other end sent a migration stream without TLS", 8 },
        { "FRHY\0\0\0\0", "a ferry connection without TLS", 8 },
        { "GET / HTTP/1.1\r\n", "an HTTP request", 16 },
        { "\0\0\0\0\0\0\0\0", "something unknown", 8 },
    };
    struct tls_terms terms = { .folder = folder };
    struct tls_credentials *server = fixture_credentials(TLS_SERVER, &terms);
    struct tls_credentials *client = fixture_credentials(TLS_CLIENT, &terms);

    for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
        struct ferry_channel *inner[2];
        struct ferry_error err = { 0 };
        struct iovec iov = { (void *)(uintptr_t)cases[i / 2].first, cases[i / 2].bytes };
        bool is_client = i % 2;

        assert_int_equal(ferry_channel_pair(inner, NULL), 0);
        assert_int_equal(ferry_channel_writev_all(inner[1], &iov, 1, &err), 0);
        assert_null(tls_channel_new(inner[0], is_client ? client : server, is_client ? FIXTURE_HOST : NULL, &err));
        assert_says(&err, FERRY_E_TLS_EXPECTED, is_client ? "the other end answered with" : cases[i / 2].says);
        ferry_channel_unref(inner[0]);
        ferry_channel_unref(inner[1]);
    }
    tls_credentials_unref(server);
    tls_credentials_unref(client);
    assert_true(tls_sniff_is_tls("\x16\x03\x01\x02", 4));
    assert_false(tls_sniff_is_tls("QEVM", 4));
    assert_string_equal(tls_sniff_name("\x16\x03\x01\x02", 4), "TLS");
}

static void who_hangs_up_on_the_hello_may_not_speak_tls(void **state)
{
    struct tls_terms terms = { .psk = folder };
    struct tls_credentials *client = fixture_credentials(TLS_CLIENT, &terms);
    struct ferry_channel *inner[2];
    struct ferry_error err = { 0 };

    assert_int_equal(ferry_channel_pair(inner, NULL), 0);
    assert_int_equal(ferry_channel_finish(inner[1], &err), 0);
    assert_null(tls_channel_new(inner[0], client, NULL, &err));
    assert_says(&err, FERRY_E_TLS_EXPECTED, "perhaps it does not speak TLS");
    ferry_channel_unref(inner[0]);
    ferry_channel_unref(inner[1]);
    tls_credentials_unref(client);
}

/* --- patterns ----------------------------------------------------------------------------------------------------- */

static void patterns_match_subjects_and_names(void **state)
{
    static const char *const yes[] = {
        "CN=source.example.com,O=Ferry", "CN=*,O=Ferry",       "*.example.com", "source.example.com", "DNS:source.*",
        "EMAIL:admin@example.com",       "x; *.EXAMPLE.com ;y"
    };
    static const char *const no[] = {
        "", ";", "CN=source.example.com", "O=Ferry", "IP:*", "example.com", "qemu", "CN=source.example.com,O=Ferry2"
    };
    char path[160], subject[128], names[128];
    FILE *stream;
    X509 *cert;

    snprintf(path, sizeof(path), "%s/client-cert.pem", folder);
    stream = fopen(path, "r");
    assert_non_null(stream);
    cert = PEM_read_X509(stream, NULL, NULL, NULL);
    fclose(stream);
    assert_non_null(cert);
    authorise_subject(cert, subject, sizeof(subject));
    assert_string_equal(subject, "CN=source.example.com,O=Ferry");
    authorise_names(cert, names, sizeof(names));
    assert_string_equal(names, "DNS:source.example.com, EMAIL:admin@example.com");
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        if (!authorise_certificate(yes[i], cert))
            fail_msg("'%s' does not match", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        if (authorise_certificate(no[i], cert))
            fail_msg("'%s' matches", no[i]);
    assert_true(authorise_certificate(NULL, cert));
    X509_free(cert);
    assert_true(authorise_identity("a;qemu", "qemu"));
    assert_false(authorise_identity("a;qem", "qemu"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_file_is_named),
        cmocka_unit_test(libvirts_names_will_do),
        cmocka_unit_test(a_file_that_is_none_is_named),
        cmocka_unit_test(a_key_with_a_password_is_named),
        cmocka_unit_test(our_own_certificate_is_judged_before_others_do),
        cmocka_unit_test(keys_of_a_file),
        cmocka_unit_test(a_cipher_that_keys_cannot_have_is_refused),
        cmocka_unit_test(whoever_can_prove_it_comes_in),
        cmocka_unit_test(whoever_cannot_stays_out_and_is_told),
        cmocka_unit_test(another_key_or_identity_stays_out),
        cmocka_unit_test(who_has_no_certificate_stays_out),
        cmocka_unit_test(who_was_revoked_stays_out),
        cmocka_unit_test(plain_text_is_told_from_tls),
        cmocka_unit_test(who_hangs_up_on_the_hello_may_not_speak_tls),
        cmocka_unit_test(patterns_match_subjects_and_names),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
