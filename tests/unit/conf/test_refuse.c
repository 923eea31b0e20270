/* What does not load, and the one line that says so: the place, the key, what is wrong. */
#include "expect.h"

#include <stdio.h>
#include <string.h>

#include "conf/parse.h"
#include "scratch.h"

static void not_yaml(void **state)
{
    static const struct scratch_refused cases[] = {
            {"log_level: \"info\nlog: x\n", "f.yml:1:12: not valid YAML: found unexpected end of stream while scanning "
                                            "a quoted scalar"},
            {"etcd_client:\n  endpoints: [a]\n  retries 10\n  auth:\n",
                    "f.yml:3:3: not valid YAML: could not find expected ':' while scanning a simple key"},
            {"etcd_client:\n\tendpoints: [a]\n", "f.yml:2:1: a tab; YAML is indented with spaces alone"},
            {"etcd_client:\n  endpoints: [a]\n\n  \tretries: 1\n",
                    "f.yml:4:3: a tab; YAML is indented with spaces alone"},
            {"etcd_client:\n    retries: 1\n  auth: x\n",
                    "f.yml:3:3: not valid YAML: did not find expected key while parsing a block mapping"},
            {"log_level: a: b\n", "f.yml:1:13: not valid YAML: mapping values are not allowed in this context"},
            {"etcd_client: {endpoints: [a\n",
                    "f.yml:2:1: not valid YAML: did not find expected ',' or ']' while parsing "
                    "a flow sequence"},
            {"etcd_client: {endpoints: [\xc3\xa4", "f.yml:1:28: not valid YAML: did not find expected ',' or ']' while "
                                                   "parsing a flow sequence"},
            {"log_level: @info\n", "f.yml:1:12: a value that begins with @ must be in quotes"},
            {"schedule:\n  cron: @daily\n", "f.yml:2:9: a value that begins with @ must be in quotes"},
            {"schedule: {cron: %x}\n", "f.yml:1:18: a value that begins with % must be in quotes"},
            {"schedule:\n  cron: * */5 * * *\n", "f.yml:2:9: a value that begins with * must be in quotes"},
            {"schedule:\n  cron: */5 * * * *\n", "f.yml:2:9: a value that begins with * must be in quotes"},
            {"log_level: info\n...\nfoo\n", "f.yml:3:1: not valid YAML: did not find expected <document start>"},
            {"%YAML 3.0\n---\nlog_level: info\n", "f.yml:1:1: not valid YAML: found incompatible YAML document"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void yaml_that_no_configuration_needs(void **state)
{
    static const struct scratch_refused cases[] = {
            {"log_level: &x info\n",
                    "f.yml:1:12: log_level: anchors and aliases are not supported; write the value out"},
            {"log_level: *x\n", "f.yml:1:12: log_level: anchors and aliases are not supported; write the value out"},
            {"etcd_client: &e\n  retries: 1\n",
                    "f.yml:1:14: etcd_client: anchors and aliases are not supported; write the value out"},
            {"etcd_client:\n  endpoints: &l [a]\n",
                    "f.yml:2:14: etcd_client.endpoints: anchors and aliases are not supported; write the value out"},
            {"&k log_level: info\n", "f.yml:1:1: anchors and aliases are not supported; write the value out"},
            {"s3_client:\n  *k : info\n", "f.yml:2:3: s3_client: a key must be a plain word"},
            {"s3_client:\n  <<: {a: b}\n", "f.yml:2:3: s3_client.<<: unknown key"},
            {"log_level: !!str info\n", "f.yml:1:12: log_level: tags are not supported; put the value in quotes"},
            {"etcd_client: !x {retries: 1}\n",
                    "f.yml:1:14: etcd_client: tags are not supported; put the value in quotes"},
            {"%TAG !e! tag:x,2000:\n---\nlog_level: info\n", "f.yml:1:1: tags are not supported"},
            {"log_level: info\n---\nlog_level: info\n",
                    "f.yml:2:1: a second document; there can be only one in a file"},
            {"log_level: info\n---\n", "f.yml:2:1: a second document; there can be only one in a file"},
            {"? {a: b}\n: c\n", "f.yml:1:3: a key must be a plain word"},
            {"s3_client:\n  [a]: c\n", "f.yml:2:3: s3_client: a key must be a plain word"},
            {": info\n", "f.yml:1:1: not valid YAML: did not find expected key while parsing a block mapping"},
            {"s3_client: {\"\": 1}\n", "f.yml:1:13: s3_client: a value without a key"},
            {"s3_client: {\"a\\nb\": 1}\n",
                    "f.yml:1:13: s3_client: contains a line break, a tab or a control character"},
            {"log_level: |\n  info\n", "f.yml:1:12: log_level: contains a line break, a tab or a control character"},
            {"snapshot_path: \"a\\0b\"\n",
                    "f.yml:1:16: snapshot_path: contains a line break, a tab or a control character"},
            {"snapshot_path: \"a\\u2028b\"\n",
                    "f.yml:1:16: snapshot_path: contains a line break, a tab or a control character"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void not_text(void **state)
{
    static const struct scratch_refused cases[] = {
            {"a: \xff\n", "f.yml:1:4: is not text in UTF-8"},
            {"\xff\xfe"
             "a",
                    "f.yml:1:1: is not text in UTF-8"},                       /* UTF-16 */
            {"# \xc3\xa4\xc3\xb6 \xc3\n", "f.yml:1:6: is not text in UTF-8"}, /* columns are characters */
            {"x: \xc0\xaf\n", "f.yml:1:4: is not text in UTF-8"},             /* overlong */
            {"x: \xed\xa0\x80\n", "f.yml:1:4: is not text in UTF-8"},         /* surrogate */
            {"x: \xf4\x90\x80\x80\n", "f.yml:1:4: is not text in UTF-8"},     /* past the last */
            {"x: \xe2\x82", "f.yml:1:4: is not text in UTF-8"},               /* cut off */
            {"a: b\nx: \x01\n", "f.yml:2:4: a control character (U+0001)"},
            {"a: b\rx: c\n", "f.yml:1:5: a control character (U+000D)"},
            {"a: \x7f\n", "f.yml:1:4: a control character (U+007F)"},
            {"a: \xc2\x85\n", "f.yml:1:4: a control character (U+0085)"},
            {"a: \xe2\x80\xa8\n", "f.yml:1:4: a control character (U+2028)"},
            {"a: \xef\xbb\xbf\n", "f.yml:1:4: a control character (U+FEFF)"},
            {"\xef\xbb\xbf"
             "a: \x02\n",
                    "f.yml:1:4: a control character (U+0002)"}, /* the mark in front has no column */
    };
    struct err e = ERR_INIT;

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
    assert_null(conf_parse("f.yml", (struct bytes){(const uint8_t *)"a: b\0c", 6}, &e));
    expect_error(&e, ERR_CONFIG, "f.yml:1:5: a control character (U+0000)");
}

static void wrong_shape(void **state)
{
    static const struct scratch_refused cases[] = {
            {"", "f.yml:1:1: the file is empty; etcd-backupd.conf.example shows what belongs here"},
            {"# only\n\n", "f.yml:1:1: the file is empty; etcd-backupd.conf.example shows what belongs here"},
            {"---\n", "f.yml:1:1: the file is empty; etcd-backupd.conf.example shows what belongs here"},
            {"{}\n", "f.yml:1:1: the file is empty; etcd-backupd.conf.example shows what belongs here"},
            {"\n  hello\n", "f.yml:2:3: must be 'key: value' lines, not a single value"},
            {"- a\n", "f.yml:1:1: must be 'key: value' lines, not a list"},
            {"etcd_client: foo\n", "f.yml:1:14: etcd_client: must be a section: keys, indented, below its name"},
            {"etcd_client: [a]\n", "f.yml:1:14: etcd_client: must be a section: keys, indented, below its name"},
            {"etcd_client:\n  auth:\n  - a\n",
                    "f.yml:3:3: etcd_client.auth: must be a section: keys, indented, below its name"},
            {"log_level: [info]\n", "f.yml:1:12: log_level: must be a single value (word), not a list"},
            {"s3_client:\n  region:\n    name: x\n",
                    "f.yml:3:5: s3_client.region: must be a single value (name), not a section"},
            {"etcd_client:\n  endpoints: a:1\n",
                    "f.yml:2:14: etcd_client.endpoints: must be a list: [\"host:port\", ...]"},
            {"etcd_client:\n  endpoints: {a: 1}\n",
                    "f.yml:2:14: etcd_client.endpoints: must be a list: [\"host:port\", ...]"},
            {"etcd_client:\n  endpoints: [a, [b]]\n",
                    "f.yml:2:18: etcd_client.endpoints[1]: must be a single value (host:port)"},
            {"etcd_client:\n  endpoints:\n  - a\n  - host: b\n",
                    "f.yml:4:5: etcd_client.endpoints[1]: must be a single value (host:port)"},
            {"etcd_client:\n  endpoints:\n  - a\n  -\n",
                    "f.yml:4:4: etcd_client.endpoints[1]: has no value; give it one or remove it"},
            {"etcd_client:\n  endpoints: [a, '']\n",
                    "f.yml:2:18: etcd_client.endpoints[1]: has no value; give it one or remove it"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void wrong_lists_of_previous_keys(void **state)
{
    static const struct scratch_refused cases[] = {
            {"previous_key_paths: /a\n", "f.yml:1:21: previous_key_paths: must be a list: [\"/path\", ...]"},
            {"previous_key_paths: {a: /a}\n", "f.yml:1:21: previous_key_paths: must be a list: [\"/path\", ...]"},
            {"previous_key_paths: [/a, '']\n",
                    "f.yml:1:26: previous_key_paths[1]: has no value; give it one or remove it"},
            {"previous_key_paths:\n- /a\n-\n- /b\n",
                    "f.yml:3:2: previous_key_paths[1]: has no value; give it one or remove it"},
            {"previous_key_paths: [/a, [/b]]\n", "f.yml:1:26: previous_key_paths[1]: must be a single value (/path)"},
            {"previous_key_paths: [path: /a]\n", "f.yml:1:22: previous_key_paths[0]: must be a single value (/path)"},
            {"previous_key_paths: [/a, \"/b\\n\"]\n",
                    "f.yml:1:26: previous_key_paths[1]: contains a line break, a tab or a control character"},
            {"previous_key_paths: [/a]\nprevious_key_paths: [/b]\n",
                    "f.yml:2:1: previous_key_paths: is there a second time; the first is in line 1, column 1"},
            {"previous_key_path: [/a]\n", "f.yml:1:1: previous_key_path: unknown key; did you mean "
                                          "previous_key_paths?"},
            {ETCD S3 "previous_key_paths: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17]\n",
                    "f.yml:3:77: previous_key_paths[16]: more than 16 paths"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

#define KEY_AUTH_HELP                                                                                                  \
    "is missing: YAML file with access_key and secret_key, and session_token if there is one; where the credentials "  \
    "come from somewhere else, s3_client.auth.source says so."

static void no_value(void **state)
{
    static const struct scratch_refused cases[] = {
            {ETCD "s3_client:\n  bucket:\n  endpoint: a\n",
                    "f.yml:3:3: s3_client.bucket: has no value: The bucket that holds the backups; it must exist."},
            {ETCD "s3_client:\n  bucket: \"\"\n",
                    "f.yml:3:11: s3_client.bucket: has no value: The bucket that holds the backups; it must exist."},
            {ETCD "s3_client: {bucket: ~}\n",
                    "f.yml:2:21: s3_client.bucket: has no value: The bucket that holds the backups; it must exist."},
            {ETCD "s3_client: {bucket: bbb, endpoint: a, auth: }\n",
                    "f.yml:2:39: s3_client.auth.key_auth: " KEY_AUTH_HELP},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void unknown_keys(void **state)
{
    static const struct scratch_refused cases[] = {
            {"etcd_client:\n  endpoint: [a]\n",
                    "f.yml:2:3: etcd_client.endpoint: unknown key; did you mean etcd_client.endpoints?"},
            {"etcd-client:\n  endpoints: [a]\n", "f.yml:1:1: etcd-client: unknown key; did you mean etcd_client?"},
            {"s3_client:\n  bucket: bbb\n  connectionTimeout: 1m\n",
                    "f.yml:3:3: s3_client.connectionTimeout: unknown key; did you mean s3_client.connection_timeout?"},
            {"s3_client:\n  regoin: b\n", "f.yml:2:3: s3_client.regoin: unknown key; did you mean s3_client.region?"},
            {"s3_client:\n  ca_cert: 1m\n", "f.yml:2:3: s3_client.ca_cert: unknown key; did you mean "
                                            "s3_client.auth.ca_cert?"},
            {"etcd_client:\n  ca_cert: 1m\n", "f.yml:2:3: etcd_client.ca_cert: unknown key; did you mean "
                                              "etcd_client.auth.ca_cert?"},
            {"etcd_client:\n  bucket: 1m\n", "f.yml:2:3: etcd_client.bucket: unknown key; did you mean "
                                             "s3_client.bucket?"},
            {"etcd_client:\n  log_level: info\n",
                    "f.yml:2:3: etcd_client.log_level: unknown key; did you mean log_level?"},
            {"socket: x\n", "f.yml:1:1: socket: unknown key; did you mean control.socket?"},
            {"loglevel: info\n", "f.yml:1:1: loglevel: unknown key; did you mean log_level?"},
            {"verbose: true\n", "f.yml:1:1: verbose: unknown key"},
            {"s3_client.region: x\n",
                    "f.yml:1:1: s3_client.region: unknown key; a key stands indented below its section, "
                    "not behind a dot"},
            {"etcd_client:\n  \"endpoints[0]\": x\n", "f.yml:2:3: etcd_client.endpoints[0]: unknown key"},
            {"\xc3\xa4: {x: 1, \"\xc3\xb6\": 2}\n", "f.yml:1:1: \xc3\xa4: unknown key"},
            {"s3_client:\n  region: x\n  \"\xc3\xb6\xc3\xb6\": 1\n",
                    "f.yml:3:3: s3_client.\xc3\xb6\xc3\xb6: unknown key"},
            {"s3_client: {\xc3\xb6: 1}\n", "f.yml:1:13: s3_client.\xc3\xb6: unknown key"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void keys_twice(void **state)
{
    static const struct scratch_refused cases[] = {
            {"log_level: info\nlog_level: info\n",
                    "f.yml:2:1: log_level: is there a second time; the first is in line 1, column 1"},
            {ETCD "s3_client:\n  bucket: aaa\n  'bucket': bbb\n",
                    "f.yml:4:3: s3_client.bucket: is there a second time; the first is in line 3, column 3"},
            {"etcd_client: {retries: 1}\nlog_level: info\netcd_client: {retries: 1}\n",
                    "f.yml:3:1: etcd_client: is there a second time; the first is in line 1, column 1"},
            {"{log_level: info, log_level: x}\n",
                    "f.yml:1:19: log_level: is there a second time; the first is in line 1, column 2"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void mandatory_keys(void **state)
{
    static const struct scratch_refused cases[] = {
            {ETCD "\ns3_client:\n  endpoint: a\n  auth: {key_auth: k}\n",
                    "f.yml:3:1: s3_client.bucket: is missing: The bucket that holds the backups; it must exist."},
            {ETCD "s3_client:\n  bucket: aaa\n  auth: {key_auth: k}\n",
                    "f.yml:2:1: s3_client.endpoint: is missing: The S3 store, host:port (TLS) or with https:// or "
                    "http:// "
                    "in front; port 443, or 80 for http://, if none is given."},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n", "f.yml:2:1: s3_client.auth.key_auth: " KEY_AUTH_HELP},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    ca_cert: x\n",
                    "f.yml:5:3: s3_client.auth.key_auth: " KEY_AUTH_HELP},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void sources_of_credentials(void **state)
{
    static const struct scratch_refused cases[] = {
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    source: aws\n",
                    "f.yml:6:13: s3_client.auth.source: 'aws' is none of file, instance, container, web-identity, "
                    "process, profile"},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    source: file\n",
                    "f.yml:5:3: s3_client.auth.key_auth: " KEY_AUTH_HELP},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    source: process\n    key_auth: k\n",
                    "f.yml:5:3: s3_client.auth.process: is missing: The program that prints credentials, and its "
                    "arguments, as a list."},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    source: profile\n",
                    "f.yml:5:3: s3_client.auth.shared_credentials_file: is missing: The file of the AWS CLI that the "
                    "profile is in; HOME does not say where it is."},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    process: a b\n",
                    "f.yml:6:14: s3_client.auth.process: must be a list: [\"/program\", ...]"},
            {ETCD "s3_client:\n  storage_class: deep_archive\n  bucket: aaa\n  endpoint: e\n  auth: {key_auth: k}\n",
                    "f.yml:3:18: s3_client.storage_class: 'deep_archive' "
                    "is an archive, which cannot be read at once: a "
                    "restore would wait for hours"},
            {ETCD "s3_client:\n  tags: [a]\n  bucket: aaa\n  endpoint: e\n  auth: {key_auth: k}\n",
                    "f.yml:3:10: s3_client.tags[0]: 'a' is not KEY=VALUE, of 128 and 256 characters at most"},
            {ETCD "s3_client:\n  object_lock: {mode: governance}\n  bucket: aaa\n  endpoint: e\n  auth: {key_auth: "
                  "k}\n",
                    "f.yml:3:17: s3_client.object_lock.mode: needs retain beside it: for how long?"},
            {ETCD "s3_client:\n  object_lock: {retain: 1d}\n  bucket: aaa\n  endpoint: e\n  auth: {key_auth: k}\n",
                    "f.yml:3:17: s3_client.object_lock.retain: needs mode beside it: governance or compliance"},
            {ETCD "s3_client:\n  object_lock: {mode: legal}\n  bucket: aaa\n  endpoint: e\n  auth: {key_auth: k}\n",
                    "f.yml:3:23: s3_client.object_lock.mode: 'legal' is none of none, governance, compliance"},
            {ETCD "s3_client:\n  server_side_encryption: aes\n  bucket: aaa\n  endpoint: e\n  auth: {key_auth: k}\n",
                    "f.yml:3:27: s3_client.server_side_encryption: 'aes' is none of none, s3, kms"},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    role_arn: a b\n",
                    "f.yml:6:15: s3_client.auth.role_arn: 'a b' has a character that cannot be in such a name"},
            {ETCD "s3_client:\n  bucket: aaa\n  endpoint: e\n  auth:\n    sts_endpoint: https://a/b\n",
                    "f.yml:6:19: s3_client.auth.sts_endpoint: 'https://a/b' is not an endpoint: there is "
                    "something after host and port; they stand alone"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

static void keys_that_go_together(void **state)
{
    static const struct scratch_refused cases[] = {
            {S3 "etcd_client:\n  endpoints: [a]\n  auth:\n    client_cert: c\n",
                    "f.yml:5:5: etcd_client.auth.client_cert: needs client_key beside it"},
            {S3 "etcd_client:\n  endpoints: [a]\n  auth:\n    client_key: c\n",
                    "f.yml:5:5: etcd_client.auth.client_key: needs client_cert beside it"},
            {ETCD S3 "schedule:\n  interval: 6h\n  cron: 0 * * * *\n",
                    "f.yml:5:3: schedule.cron: and interval: give one of them"},
            {ETCD S3 "schedule:\n  interval: 1m\n  jitter: 61s\n",
                    "f.yml:5:3: schedule.jitter: is longer than the interval"},
            {ETCD S3 "schedule:\n  retry:\n    initial: 1h\n",
                    "f.yml:5:5: schedule.retry.initial: retry.initial is longer than retry.max"},
            {ETCD S3 "schedule:\n  retry:\n    max: 1s\n",
                    "f.yml:5:5: schedule.retry.max: retry.initial is longer than retry.max"},
            {ETCD S3 "prune:\n  min_count: 3\n", "f.yml:3:1: prune: needs max_age: without it nothing is ever deleted"},
            {ETCD "s3_client:\n  endpoint: 10.0.0.1:9000\n  addressing: virtual\n  bucket: bbb\n  auth: {key_auth: "
                  "k}\n",
                    "f.yml:4:3: s3_client.addressing: virtual puts the bucket in front of the host's name, but "
                    "s3_client.endpoint is an IP address"},
    };

    (void)state;
    scratch_expect_refused(cases, ARRAY_LEN(cases));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(not_yaml),
            cmocka_unit_test(yaml_that_no_configuration_needs),
            cmocka_unit_test(not_text),
            cmocka_unit_test(wrong_shape),
            cmocka_unit_test(wrong_lists_of_previous_keys),
            cmocka_unit_test(no_value),
            cmocka_unit_test(unknown_keys),
            cmocka_unit_test(keys_twice),
            cmocka_unit_test(mandatory_keys),
            cmocka_unit_test(sources_of_credentials),
            cmocka_unit_test(keys_that_go_together),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
