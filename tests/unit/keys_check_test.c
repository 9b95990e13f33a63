/* SPDX-License-Identifier: BSD-3-Clause */
/* keys_check_test.c - whatever is wrong with keys and certificates is told, all of it, of the right file */
#include "keys_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOBODY 65534
#define KEY    "000102030405060708090a0b0c0d0e0f"

static void rename_file(const char *from, const char *to)
{
    assert_int_equal(rename(at(folder, from), at(folder, to)), 0);
}

static void every_name_and_address_is_looked_for(void **state)
{
    make_all();
    assert_well(folder, "192.0.2.7");
    assert_well(folder, "2001:0db8::0007");
    assert_well(folder, "vm.example.org");
    assert_told(folder, "192.0.2.8", 1, "server-cert.pem", CHECK_NAME_MISSING,
                "the certificate is not for '192.0.2.8', but for DNS:" FIXTURE_HOST ", IP:192.0.2.7");
    assert_told(folder, "a.b.example.org", 1, "server-cert.pem", CHECK_NAME_MISSING, "not for 'a.b.example.org'");
}

static void certificates_are_judged_as_the_other_end_does(void **state)
{
    static const struct {
        struct fixture_certificate say;
        enum check_defect defect;
        const char *text;
    } cases[] = {
        { { "server", "a", "DNS:a", "serverAuth", -20, -10, NULL, false },
          CHECK_EXPIRED,
          "the certificate has expired, on 20" },
        { { "server", "a", "DNS:a", "serverAuth", -100, 5, NULL, false },
          CHECK_EXPIRES_SOON,
          "the certificate expires in " },
        { { "server", "a", "DNS:a", "serverAuth", 5, 10, NULL, false },
          CHECK_NOT_YET_VALID,
          "the certificate is not valid yet, but from 20" },
        { { "server", "a", "DNS:a", "clientAuth", 0, 0, NULL, false },
          CHECK_PURPOSE,
          "the certificate is not for a TLS server (extended key usage)" },
        { { "server", "a", "DNS:b", "serverAuth", 0, 0, NULL, false },
          CHECK_NAME_MISSING,
          "not for 'a', but for DNS:b" },
        { { "server", "a", "DNS:a", "serverAuth", 0, 0, other, false },
          CHECK_NOT_SIGNED,
          "the certificate is signed by an authority that is not known here" },
        { { "server", "a", "DNS:a", "serverAuth", 0, 0, NULL, true }, CHECK_REVOKED, "the certificate was revoked" },
    };

    fixture_authority(other, "another");
    fixture_authority(folder, "ours");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        fixture_issue(folder, &cases[i].say);
        assert_int_equal(chmod(at(folder, "server-key.pem"), 0600), 0);
        assert_int_equal(chmod(at(folder, "ca-key.pem"), 0600), 0);
        assert_told(folder, "a", 1, "server-cert.pem", cases[i].defect, cases[i].text);
    }
}

static void several_faults_are_all_told(void **state)
{
    struct check_report *report;

    fixture_authority(other, "another");
    fixture_authority(folder, "ours");
    fixture_issue(folder, &(struct fixture_certificate){ "server", "a", "DNS:a", "clientAuth", -20, -10, other });
    fixture_issue(folder, &(struct fixture_certificate){ "client", "c", NULL, "clientAuth" });
    assert_int_equal(chmod(at(folder, "server-key.pem"), 0644), 0);
    assert_int_equal(chmod(at(folder, "ca-key.pem"), 0600), 0);
    assert_int_equal(unlink(at(folder, "client-key.pem")), 0);
    fixture_write(folder, "keys.psk", "qemu " KEY "\n");
    assert_int_equal(chmod(at(folder, "keys.psk"), 0604), 0);
    report = check(folder, "b");
    dump(report);
    assert_non_null(find(report, "server-cert.pem", CHECK_EXPIRED, "has expired"));
    assert_non_null(find(report, "server-cert.pem", CHECK_PURPOSE, "not for a TLS server"));
    assert_non_null(find(report, "server-cert.pem", CHECK_NOT_SIGNED, "not known here"));
    assert_non_null(find(report, "server-cert.pem", CHECK_NAME_MISSING, "not for 'b'"));
    assert_non_null(find(report, "server-key.pem", CHECK_OPEN_TO_OTHERS, "everybody on this host can read it"));
    assert_non_null(find(report, "client-key.pem", CHECK_MISSING, "there is no client-key.pem (or clientkey.pem)"));
    assert_non_null(find(report, "keys.psk", CHECK_MALFORMED, "line 1: not of the form identity:key"));
    assert_non_null(find(report, "keys.psk", CHECK_OPEN_TO_OTHERS, "(mode 0604)"));
    assert_int_equal(report->problems, 8);
    free(report);
}

static void a_key_fits_its_certificate_or_is_told(void **state)
{
    make_all();
    rename_file("server-key.pem", "x");
    rename_file("client-key.pem", "server-key.pem");
    rename_file("x", "client-key.pem");
    assert_told(folder, NULL, 2, "server-key.pem", CHECK_KEY_MISFIT, "the key does not fit the certificate");
    assert_told(folder, NULL, 2, "client-key.pem", CHECK_KEY_MISFIT, "the key does not fit the certificate");
    rename_file("server-cert.pem", "x");
    rename_file("client-cert.pem", "server-cert.pem");
    rename_file("x", "client-cert.pem");
    assert_told(folder, NULL, 2, "server-cert.pem", CHECK_PURPOSE, "not for a TLS server");
    assert_told(folder, NULL, 2, "client-cert.pem", CHECK_PURPOSE, "not for a TLS client");
}

/* The private half of one key with the public half of another. */
static void a_key_that_is_damaged_is_told(void **state)
{
    FILE *stream;
    EVP_PKEY *keys[2] = { EVP_EC_gen("P-256"), EVP_EC_gen("P-256") };
    unsigned char *der[2] = { NULL };
    const unsigned char *from;
    int bytes[2];
    EVP_PKEY *both;

    make_all();
    for (int i = 0; i < 2; i++)
        bytes[i] = i2d_PrivateKey(keys[i], &der[i]);
    assert_int_equal(bytes[0], bytes[1]);
    memcpy(der[0] + bytes[0] - 64, der[1] + bytes[1] - 64, 64);
    from = der[0];
    both = d2i_AutoPrivateKey(NULL, &from, bytes[0]);
    stream = fopen(at(folder, "server-key.pem"), "w");
    assert_int_equal(PEM_write_PrivateKey(stream, both, NULL, NULL, 0, NULL, NULL), 1);
    fclose(stream);
    assert_told(folder, NULL, 1, "server-key.pem", CHECK_MALFORMED, "the key is damaged");
    for (int i = 0; i < 2; i++) {
        OPENSSL_free(der[i]);
        EVP_PKEY_free(keys[i]);
    }
    EVP_PKEY_free(both);
}

static void files_that_are_missing_or_damaged_are_told(void **state)
{
    char gone[KEYS_PATH_BYTES];

    make_all();
    rename_file("server-key.pem", "x");
    assert_told(folder, NULL, 1, "server-key.pem", CHECK_MISSING, "there is no server-key.pem");
    rename_file("ca-cert.pem", "server-key.pem");
    assert_int_equal(chmod(at(folder, "server-key.pem"), 0600), 0);
    assert_told(folder, NULL, 2, "server-key.pem", CHECK_MALFORMED, "no private key");
    assert_told(folder, NULL, 2, "ca-cert.pem", CHECK_MISSING, "there is no ca-cert.pem (or cacert.pem)");
    rename_file("server-key.pem", "ca-cert.pem");
    rename_file("x", "server-key.pem");
    fixture_write(folder, "server-cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert_told(folder, NULL, 1, "server-cert.pem", CHECK_MALFORMED, "no certificate (");
    fixture_write(folder, "ca-crl.pem", "nothing");
    assert_told(folder, NULL, 2, "ca-crl.pem", CHECK_MALFORMED, "no revocation list (");
    assert_told(other, NULL, 1, other, CHECK_MISSING, "neither certificates (ca-cert.pem) nor keys (keys.psk)");
    snprintf(gone, sizeof(gone), "%s/gone", other);
    assert_told(gone, NULL, 1, gone, CHECK_MISSING, "no such file");
}

static void a_file_that_is_closed_to_us_is_told(void **state)
{
    bool root = geteuid() == 0;

    make_all();
    assert_int_equal(chmod(folder, 0755), 0);
    assert_int_equal(chmod(at(folder, "server-key.pem"), root ? 0600 : 0), 0);
    assert_int_equal(chmod(at(folder, "ca-key.pem"), 0644), 0);
    assert_int_equal(chmod(at(folder, "client-key.pem"), 0644), 0);
    if (root)
        assert_int_equal(setresuid(NOBODY, NOBODY, 0), 0);
    assert_told(folder, NULL, 3, "server-key.pem", CHECK_UNREADABLE, "permission denied");
    if (root)
        assert_int_equal(setresuid(0, 0, 0), 0);
}

/* A folder that is only for a client, and asked about a host: then it is to be a destination, too. */
static void a_host_that_is_asked_for_needs_a_servers_certificate(void **state)
{
    struct make_terms terms = terms_of(folder, NULL);
    struct check_report *report;

    terms.host_count = 0;
    make(&terms);
    report = check(folder, NULL);
    assert_int_equal(report->problems, 0);
    assert_true(report->source);
    assert_false(report->destination);
    free(report);
    assert_told(folder, "a", 2, "server-cert.pem", CHECK_MISSING, "there is no server-cert.pem");
}

static void an_authority_must_be_one(void **state)
{
    make_all();
    rename_file("ca-cert.pem", "x");
    rename_file("server-cert.pem", "ca-cert.pem");
    rename_file("x", "server-cert.pem");
    assert_told(folder, NULL, 7, "ca-cert.pem", CHECK_PURPOSE, "may not sign others (key usage)");
}

/* With its own key, a certificate that says CA:TRUE for a server; of RSA, too short, signed with SHA-1. */
static void what_is_weak_or_of_too_much_right_is_told(void **state)
{
    FILE *key_file, *cert_file;
    EVP_PKEY *key = EVP_RSA_gen(1024);
    X509 *cert = X509_new();
    X509_NAME *name = X509_get_subject_name(cert);

    assert_non_null(key);
    X509_set_version(cert, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(cert), -100);
    X509_gmtime_adj(X509_getm_notAfter(cert), 100 * 86400);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"weak", -1, -1, 0);
    X509_set_issuer_name(cert, name);
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha1()) > 0);
    key_file = fopen(at(folder, "server-key.pem"), "w");
    cert_file = fopen(at(folder, "server-cert.pem"), "w");
    PEM_write_PrivateKey(key_file, key, NULL, NULL, 0, NULL, NULL);
    PEM_write_X509(cert_file, cert);
    fclose(key_file);
    rewind(cert_file);
    fclose(cert_file);
    cert_file = fopen(at(folder, "ca-cert.pem"), "w");
    PEM_write_X509(cert_file, cert);
    fclose(cert_file);
    chmod(at(folder, "server-key.pem"), 0600);
    assert_told(folder, NULL, 3, "ca-cert.pem", CHECK_WEAK, "a key that is too short to be safe");
    assert_told(folder, NULL, 3, "server-cert.pem", CHECK_WEAK, "a key that is too short to be safe");
    assert_told(folder, NULL, 3, "ca-cert.pem", CHECK_PURPOSE, "no CA:TRUE");
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void what_others_can_change_is_told(void **state)
{
    make_all();
    chmod(at(folder, "ca-cert.pem"), 0666);
    assert_told(folder, NULL, 1, "ca-cert.pem", CHECK_OPEN_TO_OTHERS,
                "everybody on this host can change it (mode 0666)");
    chmod(at(folder, "ca-cert.pem"), 0644);
    chmod(folder, 0777);
    assert_told(folder, NULL, 1, folder, CHECK_OPEN_TO_OTHERS, "everybody on this host can change it (mode 0777)");
    chmod(folder, 01777);
    assert_well(folder, NULL);
    chmod(at(folder, "server-key.pem"), 0640); /* QEMU's group */
    assert_well(folder, NULL);
}

static void every_wrong_line_of_keys_is_told(void **state)
{
    struct check_report *report;
    char text[4096];

    snprintf(text, sizeof(text),
             "# a comment\nqemu:" KEY "\nqemu:" KEY "\nshort:0011\nnokey\n:" KEY
             "\nbad:zz0102030405060708090a0b0c0d0e0f\n"
             "long:%02000d\nlast:" KEY "\n",
             0);
    fixture_write(folder, "keys.psk", text);
    chmod(at(folder, "keys.psk"), 0600);
    report = check(at(folder, "keys.psk"), NULL);
    dump(report);
    assert_non_null(find(report, "keys.psk", CHECK_TWICE, "line 3: this identity has a key already"));
    assert_non_null(find(report, "keys.psk", CHECK_WEAK, "line 4: a key is of 32 to 512 hexadecimal digits"));
    assert_non_null(find(report, "keys.psk", CHECK_MALFORMED, "line 5: not of the form identity:key"));
    assert_non_null(find(report, "keys.psk", CHECK_MALFORMED, "line 6: an identity is of 1 to 127 bytes"));
    assert_non_null(find(report, "keys.psk", CHECK_MALFORMED, "line 7: the key is not hexadecimal"));
    assert_non_null(find(report, "keys.psk", CHECK_MALFORMED, "line 8: longer than a key can be"));
    assert_int_equal(report->problems, 6);
    for (unsigned i = 0; i < report->files[0].count; i++)
        assert_null(strstr(report->files[0].problems[i].text, "0102"));
    free(report);
    fixture_write(folder, "keys.psk", "\n# none\n");
    assert_told(folder, NULL, 1, "keys.psk", CHECK_MALFORMED, "there is no key in it");
}

static void more_faults_than_there_is_room_for_are_counted(void **state)
{
    struct check_report *report;
    char text[600] = "";

    for (int i = 0; i < 100; i++)
        strcat(text, "bad\n");
    fixture_write(folder, "keys.psk", text);
    chmod(at(folder, "keys.psk"), 0600);
    report = check(folder, NULL);
    assert_int_equal(report->problems, 100);
    assert_int_equal(report->files[1].count, CHECK_PROBLEMS_MAX);
    assert_int_equal(report->files[1].dropped, 100 - CHECK_PROBLEMS_MAX);
    free(report);
}

static void a_pem_file_is_told_from_keys(void **state)
{
    make_all();
    assert_told(at(folder, "ca-cert.pem"), NULL, 1, "ca-cert.pem", CHECK_MALFORMED, "check the folder that it is in");
}

/* What is told is what would be refused: no fault that only one of the two knows. */
static void what_is_well_is_loaded_and_what_is_not_is_refused(void **state)
{
    static const struct fixture_certificate say[] = {
        { "server", "a", "DNS:a", "serverAuth", -20, -10, NULL, false },
        { "server", "a", "DNS:a", "clientAuth", 0, 0, NULL, false },
        { "server", "a", "DNS:a", "serverAuth", 0, 0, other, false },
        { "server", "a", "DNS:a", "serverAuth", 0, 0, NULL, false },
        { "server", "a", "DNS:a", NULL, 0, 0, NULL, false },
    };

    fixture_authority(other, "another");
    fixture_authority(folder, "ours");
    for (size_t i = 0; i < sizeof(say) / sizeof(say[0]); i++) {
        struct tls_terms terms = { .side = TLS_SERVER, .folder = folder };
        struct check_report *report;
        struct tls_credentials *creds;
        struct ferry_error err = { 0 };

        fixture_issue(folder, &say[i]);
        chmod(at(folder, "server-key.pem"), 0600);
        chmod(at(folder, "ca-key.pem"), 0600);
        report = check(folder, NULL);
        creds = tls_credentials_new(&terms, &err);
        assert_int_equal(report->problems == 0, creds != NULL);
        tls_credentials_unref(creds);
        free(report);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_name_and_address_is_looked_for),
        TEST(certificates_are_judged_as_the_other_end_does),
        TEST(several_faults_are_all_told),
        TEST(a_key_fits_its_certificate_or_is_told),
        TEST(a_key_that_is_damaged_is_told),
        TEST(files_that_are_missing_or_damaged_are_told),
        TEST(a_file_that_is_closed_to_us_is_told),
        TEST(a_host_that_is_asked_for_needs_a_servers_certificate),
        TEST(an_authority_must_be_one),
        TEST(what_is_weak_or_of_too_much_right_is_told),
        TEST(what_others_can_change_is_told),
        TEST(every_wrong_line_of_keys_is_told),
        TEST(more_faults_than_there_is_room_for_are_counted),
        TEST(a_pem_file_is_told_from_keys),
        TEST(what_is_well_is_loaded_and_what_is_not_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
