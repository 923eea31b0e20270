/*
 * print_schema.c: one line for each key of the configuration, for whatever compares another text with it, or makes one
 * of it:
 *
 *     KEY <tab> KIND <tab> "mandatory", "optional" or the default <tab> a sample
 */
#include <stdio.h>

#include "conf/conf.h"

static void print(void *ctx, const struct conf_schema_entry *entry)
{
    const char *otherwise = entry->mandatory ? "mandatory" : "optional";

    (void)ctx;
    printf("%s\t%s\t%s\t%s\n", entry->key, entry->kind, entry->by_default ? entry->by_default : otherwise,
            entry->example);
}

int main(void)
{
    conf_schema_each(print, NULL);
    return fflush(stdout) == 0 ? 0 : 1;
}
