/*
 * age_probe: lib/age alone, for tests that hold it beside age.
 *
 *     age_probe seal TIMESTAMP RECIPIENT...    stdin, sealed and vouched for by a key of zeros, to stdout
 *     age_probe open IDENTITIES                stdin, opened, to stdout; exit status 1 and a line on stderr: it is not
 */
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#include "age/identity.h"
#include "age/open.h"
#include "age/seal.h"
#include "base/cleanup.h"

static int fail(const struct err *e)
{
    fprintf(stderr, "%s\n", e->text);
    return 1;
}

static int put(const void *data, size_t len)
{
    return fwrite(data, 1, len, stdout) == len && fflush(stdout) == 0 ? 0 : 1;
}

static int seal(char **args, size_t n, struct bytes input)
{
    static const uint8_t zeros[AGE_VOUCH_KEY_LEN];
    _cleanup_buf_ struct buf file = BUF_INIT(AGE_FILE_MAX);
    struct age_recipient recipients[AGE_RECIPIENTS_MAX];
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *plain = secret_copy(input.data, input.len, &e);
    struct age_seal_spec spec = {
            .recipients = recipients, .n = n - 1, .plain = plain, .timestamp = args[0], .vouch_key = zeros};

    if (n < 2 || spec.n > AGE_RECIPIENTS_MAX || strlen(args[0]) != TIMESTAMP_TEXT_LEN)
        return 2;
    for (size_t i = 0; i < spec.n; i++)
        if (age_recipient_parse(args[1 + i], &recipients[i], &e) < 0)
            return fail(&e);
    return !plain || age_seal(&spec, &file, &e) < 0 ? fail(&e) : put(file.data, file.len);
}

static int open_it(const char *path, struct bytes input)
{
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *file = secret_read_file(path, AGE_IDENTITY_FILE_MAX, true, &e);
    _cleanup_secret_ struct secret *identities = NULL, *plain = NULL;
    struct age_file f;

    if (file)
        identities = age_identities_parse(path, (struct bytes){secret_const_data(file), secret_len(file)}, &e);
    if (identities && age_file_parse(input, &f, &e) == 0)
        plain = age_open(&f, identities, &e);
    return plain ? put(secret_const_data(plain), secret_len(plain)) : fail(&e);
}

int main(int argc, char **argv)
{
    static uint8_t input[AGE_FILE_MAX + 1];
    size_t len = fread(input, 1, sizeof(input), stdin);

    if (sodium_init() < 0)
        return 1;
    if (argc > 2 && strcmp(argv[1], "seal") == 0)
        return seal(argv + 2, (size_t)argc - 2, (struct bytes){input, len});
    if (argc == 3 && strcmp(argv[1], "open") == 0)
        return open_it(argv[2], (struct bytes){input, len});
    return 2;
}
