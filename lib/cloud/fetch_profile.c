/* A profile in a file: its keys, or its program. */
#include <string.h>

#include "base/cleanup.h"
#include "cloud/fetch_state.h"
#include "cloud/profile.h"

enum { FILE_MAX = 48 << 10 };

void cloud_fetch_begin_profile(struct cloud_fetch *f)
{
    const char *path = f->conf->shared_credentials_file;
    struct err e = ERR_INIT;
    _cleanup_secret_ struct secret *text = secret_read_file(path, FILE_MAX, true, &e);
    _cleanup_free_ char **args = NULL;
    struct cloud_profile p;

    if (text && cloud_profile_parse(
                        (struct bytes){secret_const_data(text), secret_len(text)}, f->conf->profile, &p, &e) < 0)
        (void)err_prepend(&e, "%s: ", path);
    else if (text && p.process.data)
        args = cloud_profile_split(p.process, &e);
    else if (text && cloud_credentials_set(&f->got, p.access_key, p.secret_key, p.token, &e) < 0)
        (void)err_prepend(&e, "%s: ", path);
    if (args)
        cloud_fetch_run(f, (const char *const *)args);
    else
        cloud_fetch_end(f, e.kind ? &e : NULL);
}
