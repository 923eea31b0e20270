#include "core/initial_conf.h"

#include <stdio.h>

#include "base/secret.h"
#include "core/service_user.h"

static void print_warning(void *ctx, const char *text)
{
    (void)ctx;
    (void)fprintf(stderr, "warning: %s\n", text);
}

/* Those that somebody has to mend, and those that pass. Who asks for something now is told that nothing was tried. */
struct found {
    bool is_service;
    unsigned lasting, passing;
};

static bool passes(const struct found *o, const struct err *why)
{
    return why->kind == ERR_RESOURCE || why->kind == ERR_TRANSIENT ||
           (o->is_service && why->domain == ERR_DOMAIN_ERRNO);
}

static void print_objection(void *ctx, const struct err *why)
{
    struct found *o = ctx;

    o->passing += passes(o, why);
    o->lasting += !passes(o, why);
    (void)fprintf(stderr, "%s\n", why->text);
}

struct conf *initial_conf_load(const struct options *o, bool *may_pass)
{
    static const enum conf_scope scopes[] = {
            [PURPOSE_BACKUP] = CONF_SCOPE_BACKUP,
            [PURPOSE_CHANGE] = CONF_SCOPE_BUCKET,
            [PURPOSE_READ] = CONF_SCOPE_BUCKET,
    };
    enum conf_scope scope = o->control_fd >= 0 ? scopes[o->purpose] : CONF_SCOPE_ALL;
    struct found objections = {.is_service = o->control_fd < 0 && !o->check_config};
    struct err e = ERR_INIT;
    struct conf *conf = conf_load(o->config, &e);

    if (o->control_fd >= 0 && o->purpose == PURPOSE_READ)
        secret_allow_open_files();
    if (!conf) {
        print_objection(&objections, &e);
        objections.lasting += e.domain == ERR_DOMAIN_ERRNO && e.kind != ERR_RESOURCE; /* the configuration itself */
    } else if (conf_check_files(conf, scope, print_objection, &objections) > 0) {
        conf_free(conf);
        conf = NULL;
    }
    *may_pass = objections.passing && !objections.lasting;
    return conf;
}

void initial_conf_tell(const struct conf *conf)
{
    conf_warnings(conf, print_warning, NULL);
    if (service_user_has_file(conf->file))
        service_user_check(conf, "etcd-backupd", print_warning, NULL);
    if (conf->etcd.n_endpoints)
        (void)printf("%s: the configuration is good\n", conf->file);
    else
        (void)printf("%s: the configuration is good for list, verify, restore, prune and rotate-key; a backup needs "
                     "etcd_client.endpoints, too\n",
                conf->file);
}
