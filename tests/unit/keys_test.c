/* SPDX-License-Identifier: BSD-3-Clause */
/* keys_test.c - keys and certificates are made so that both ends take them, safe from others, and replace nothing */
#include "certificate.h"
#include "keys_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static void assert_not_made(const struct make_terms *terms, int errnum, const char *text)
{
    struct file_set made = { 0 };
    struct ferry_error err = { 0 };

    assert_int_equal(make_x509(terms, &made, &err), errnum);
    if (!strstr(err.text, text))
        fail_msg("'%s' instead of '%s'", err.text, text);
    assert_int_equal(made.count, 0);
}

static unsigned files_in(const char *in)
{
    DIR *dir = opendir(in);
    struct dirent *entry;
    unsigned count = 0;

    assert_non_null(dir);
    while ((entry = readdir(dir)))
        count += entry->d_name[0] != '.';
    closedir(dir);
    return count;
}

static char *content_of(const char *path, char to[4096])
{
    FILE *stream = fopen(path, "r");
    size_t bytes;

    assert_non_null(stream);
    bytes = fread(to, 1, 4095, stream);
    to[bytes] = '\0';
    fclose(stream);
    return to;
}

static void two_ends_shake_hands_with_what_was_made(void **state)
{
    struct fixture_pair pair;
    struct tls_credentials *client, *server;

    make_all();
    assert_well(folder, FIXTURE_HOST);
    client = fixture_credentials(TLS_CLIENT, &(struct tls_terms){ .folder = folder });
    server = fixture_credentials(TLS_SERVER, &(struct tls_terms){ .folder = folder });
    fixture_connect(&pair, client, server);
    fixture_drop(&pair);
    tls_credentials_unref(client);
    tls_credentials_unref(server);
}

static void a_file_of_keys_lets_two_ends_shake_hands(void **state)
{
    struct file_set made = { 0 };
    struct fixture_pair pair;
    struct tls_credentials *client, *server;

    assert_int_equal(make_psk(folder, "qemu", false, &made, NULL), 0);
    file_set_clear(&made);
    assert_int_equal(mode_of(at(folder, "keys.psk")), 0600);
    assert_well(folder, NULL);
    client = fixture_credentials(TLS_CLIENT, &(struct tls_terms){ .psk = folder });
    server = fixture_credentials(TLS_SERVER, &(struct tls_terms){ .psk = at(folder, "keys.psk") });
    fixture_connect(&pair, client, server);
    fixture_drop(&pair);
    tls_credentials_unref(client);
    tls_credentials_unref(server);
}

static void keys_are_their_owners_alone(void **state)
{
    struct make_terms terms = terms_of(at(folder, "new"), NULL);
    char within[KEYS_PATH_BYTES];
    mode_t mask = umask(0);

    snprintf(within, sizeof(within), "%s", terms.folder);
    terms.folder = within;
    make(&terms);
    umask(mask);
    assert_int_equal(mode_of(within), 0700);
    for (int i = 0; i < 3; i++)
        assert_int_equal(mode_of(at(within, (const char *[]){ "ca-key.pem", "server-key.pem", "client-key.pem" }[i])),
                         0600);
    assert_int_equal(mode_of(at(within, "ca-cert.pem")), 0644);
    assert_int_equal(files_in(within), 6);
}

static void nothing_is_replaced_unless_asked_for(void **state)
{
    struct make_terms terms = terms_of(folder, NULL);
    struct file_set made = { 0 };
    char before[4096], after[4096];

    fixture_write(folder, "client-key.pem", "mine");
    assert_not_made(&terms, -EEXIST, "client-key.pem: is there already");
    assert_int_equal(files_in(folder), 1);
    assert_string_equal(content_of(at(folder, "client-key.pem"), after), "mine");
    terms.replace = true;
    make(&terms);
    assert_int_equal(files_in(folder), 6);
    assert_well(folder, FIXTURE_HOST);

    assert_int_equal(make_psk(folder, "qemu", false, &made, NULL), 0);
    file_set_clear(&made);
    content_of(at(folder, "keys.psk"), before);
    assert_int_equal(make_psk(folder, "qemu", false, &made, NULL), -EEXIST);
    assert_string_equal(content_of(at(folder, "keys.psk"), after), before);
    assert_int_equal(make_psk(folder, "qemu", true, &made, NULL), 0);
    file_set_clear(&made);
    assert_string_not_equal(content_of(at(folder, "keys.psk"), after), before);
    assert_int_equal(files_in(folder), 7);
}

/* Somebody makes the last file between the look and the link. */
static void a_set_that_cannot_be_whole_is_not_begun(void **state)
{
    struct file_set set = { 0 };
    struct ferry_error err = { 0 };

    assert_int_equal(file_set_add(&set, folder, at(folder, "a"), 0600, "1", 1, &err), 0);
    assert_int_equal(file_set_add(&set, folder, at(folder, "b"), 0600, "2", 1, &err), 0);
    fixture_write(folder, "b", "mine");
    assert_int_equal(file_set_commit(&set, false, &err), -EEXIST);
    file_set_clear(&set);
    assert_int_equal(files_in(folder), 1);
    assert_int_equal(mode_of(at(folder, "b")) & 0600, 0600);
}

static void one_authority_signs_for_many_hosts(void **state)
{
    struct make_terms authority = { .folder = folder, .days = MAKE_DAYS }, terms = terms_of(other, folder);

    make(&authority);
    assert_int_equal(files_in(folder), 2);
    assert_well(folder, NULL);
    make(&terms);
    assert_int_equal(files_in(other), 5); /* the authority's key is not among them */
    assert_well(other, FIXTURE_HOST);
    assert_not_made(&terms, -EEXIST, "server-");
    terms.replace = true;
    make(&terms);
    terms.folder = folder;
    terms.client = NULL;
    make(&terms);
    assert_int_equal(files_in(folder), 4);
    assert_well(folder, FIXTURE_HOST);
    terms.folder = folder;
    terms.authority = other;
    assert_not_made(&terms, -ENOENT, "there is no ca-key.pem (or cakey.pem)");
}

/* While hosts change over, both the old and the new authority are known. */
static void an_authority_that_is_known_beside_another_stays_so(void **state)
{
    struct make_terms old = { .folder = at(other, "old"), .days = MAKE_DAYS }, terms = terms_of(folder, NULL);
    char both[8192], one[4096], folder_of_old[KEYS_PATH_BYTES];

    snprintf(folder_of_old, sizeof(folder_of_old), "%s", old.folder);
    old.folder = folder_of_old;
    make(&old);
    terms.authority = folder_of_old;
    make(&terms);
    old.folder = other;
    make(&old);
    snprintf(both, sizeof(both), "%s", content_of(at(folder, "ca-cert.pem"), one));
    strcat(both, content_of(at(other, "ca-cert.pem"), one));
    fixture_write(folder, "ca-cert.pem", both);
    assert_well(folder, FIXTURE_HOST);
    terms.authority = other;
    terms.replace = true;
    make(&terms);
    assert_well(folder, FIXTURE_HOST);
    assert_true(strlen(content_of(at(folder, "ca-cert.pem"), one)) == strlen(both));
}

static void a_certificate_does_not_outlive_its_authority(void **state)
{
    struct make_terms terms = terms_of(folder, folder);

    fixture_authority(folder, "ten days"); /* made with a key of its own, ca-key.pem */
    terms.days = 30;
    assert_not_made(&terms, -EINVAL, "before a certificate of 30 days would");
    terms.days = 9;
    make(&terms);
    terms.days = 0;
    assert_not_made(&terms, -EINVAL, "1 to 36500 days");
}

static void libvirts_layout_is_made_and_found(void **state)
{
    struct make_terms terms = terms_of(folder, NULL);

    terms.layout = NAMES_LIBVIRT;
    make(&terms);
    assert_int_equal(mode_of(at(folder, "CA/private/cakey.pem")), 0600);
    assert_int_equal(mode_of(at(folder, "libvirt/private")), 0700);
    assert_int_equal(mode_of(at(folder, "libvirt/private/serverkey.pem")), 0600);
    assert_int_equal(mode_of(at(folder, "libvirt/clientcert.pem")), 0644);
    assert_well(folder, FIXTURE_HOST);
    tls_credentials_unref(fixture_credentials(TLS_SERVER, &(struct tls_terms){ .folder = folder }));
    /* Those of QEMU's names would be found first: what is there is there. */
    terms.layout = NAMES_QEMU;
    assert_not_made(&terms, -EEXIST, "CA/cacert.pem: is there already");
}

static void names_are_hosts_or_refused(void **state)
{
    static const char *const good[] = { "a", "host-a.example.com", "*.example.com", "10.0.0.1", "::1", "vm_1", "x1" };
    static const char *const bad[] = { "",  "a..b",      ".a",      "a.",  "-a",    "a b", "a,b",
                                       "*", "a.*.c.com", "[::1]:1", "a:1", "h\xc3", "a/b" };
    char label[65], host[256];
    struct make_terms terms = terms_of(folder, NULL);

    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        assert_true(certificate_is_host(good[i]));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (certificate_is_host(bad[i]))
            fail_msg("'%s' is taken for a host", bad[i]);
    memset(label, 'a', 64);
    label[64] = '\0';
    assert_false(certificate_is_host(label));
    /* Longer than a subject may be: the alternative name has it whole. */
    label[63] = '\0';
    snprintf(host, sizeof(host), "%s.%s.example.com", label, label);
    terms.hosts = (const char *[]){ host };
    terms.host_count = 1;
    make(&terms);
    assert_well(folder, host);
    terms.hosts = (const char *[]){ "a b" };
    assert_not_made(&terms, -EINVAL, "'a b' is neither the name of a host nor an address");
}

static void identities_are_lines_that_gnutls_reads_alike(void **state)
{
    static const char *const bad[] = { "", "a:b", "#a", "a b", "a\nb" };
    struct file_set made = { 0 };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(make_psk(folder, bad[i], false, &made, NULL), -EINVAL);
    assert_int_equal(files_in(folder), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(two_ends_shake_hands_with_what_was_made),
        TEST(a_file_of_keys_lets_two_ends_shake_hands),
        TEST(keys_are_their_owners_alone),
        TEST(nothing_is_replaced_unless_asked_for),
        TEST(a_set_that_cannot_be_whole_is_not_begun),
        TEST(one_authority_signs_for_many_hosts),
        TEST(an_authority_that_is_known_beside_another_stays_so),
        TEST(a_certificate_does_not_outlive_its_authority),
        TEST(libvirts_layout_is_made_and_found),
        TEST(names_are_hosts_or_refused),
        TEST(identities_are_lines_that_gnutls_reads_alike),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
