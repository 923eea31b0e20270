#include "failing.h"

#include <errno.h>
#include <openssl/evp.h>

/* As in failing.c. */
void *__real_sodium_malloc(size_t len);
void *__wrap_sodium_malloc(size_t len);
int __real_sodium_mlock(void *p, size_t len);
int __wrap_sodium_mlock(void *p, size_t len);
EVP_MD *__real_EVP_MD_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties);
EVP_MD *__wrap_EVP_MD_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties);
EVP_MD_CTX *__real_EVP_MD_CTX_new(void);
EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void);
int __real_EVP_DigestInit_ex2(EVP_MD_CTX *ctx, const EVP_MD *type, const OSSL_PARAM *params);
int __wrap_EVP_DigestInit_ex2(EVP_MD_CTX *ctx, const EVP_MD *type, const OSSL_PARAM *params);

void *__wrap_sodium_malloc(size_t len)
{
    return failing_now() ? NULL : __real_sodium_malloc(len);
}

int __wrap_sodium_mlock(void *p, size_t len)
{
    if (!failing_now())
        return __real_sodium_mlock(p, len);
    errno = EPERM; /* what the kernel says when RLIMIT_MEMLOCK is 0 */
    return -1;
}

EVP_MD *__wrap_EVP_MD_fetch(OSSL_LIB_CTX *ctx, const char *algorithm, const char *properties)
{
    return failing_now() ? NULL : __real_EVP_MD_fetch(ctx, algorithm, properties);
}

EVP_MD_CTX *__wrap_EVP_MD_CTX_new(void)
{
    return failing_now() ? NULL : __real_EVP_MD_CTX_new();
}

int __wrap_EVP_DigestInit_ex2(EVP_MD_CTX *ctx, const EVP_MD *type, const OSSL_PARAM *params)
{
    return failing_now() ? 0 : __real_EVP_DigestInit_ex2(ctx, type, params);
}
