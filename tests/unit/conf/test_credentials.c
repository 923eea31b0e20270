/* Files with a name and a password in them. */
#include "expect.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "conf/conf.h"
#include "failing.h"
#include "scratch.h"

static void expect_secret(const struct secret *s, const char *text)
{
    assert_non_null(s);
    assert_int_equal(secret_len(s), strlen(text));
    assert_memory_equal(secret_const_data(s), text, strlen(text));
}

static void what_is_read(void **state)
{
    static const struct {
        const char *text, *id, *secret;
    } cases[] = {
            {"username: root\npassword: hunter2\n", "root", "hunter2"},
            {"password: hunter2\nusername: root", "root", "hunter2"},
            {"---\n# who\nusername:   root  # as etcd knows it\n\n  # comment\npassword:\thunter2 \t \n...\n# end\n",
                    "root", "hunter2"},
            {"  username: root\n  password: hunter2\n", "root", "hunter2"},
            {"username: root\r\npassword: hunter2\r\n", "root", "hunter2"},
            {"\xef\xbb\xbfusername: root\npassword: hunter2\n", "root", "hunter2"},
            {"'username': 'root'\n\"password\" : \"hunter2\"\n", "root", "hunter2"},
            {"username: root\npassword: 'it''s #1: {a}'\n", "root", "it's #1: {a}"},
            {"username: root\npassword: \"a\\\"b\\\\c\\/d\\x41\\u00e9\\u20AC\" # x\n", "root",
                    "a\"b\\c/dA\xc3\xa9\xe2\x82\xac"},
            {"username: a b\npassword: a#b:c'd\"e,[f]{g}\\n!\n", "a b", "a#b:c'd\"e,[f]{g}\\n!"},
            {"username: 0123\npassword: -x\n", "0123", "-x"},
            {"username: yes\npassword: :x\n", "yes", ":x"},
            {"username: r\npassword: \xc3\xa4\xe2\x82\xac\n", "r", "\xc3\xa4\xe2\x82\xac"},
            {"{\"username\": \"root\", \"password\": \"p\"}\n", "root", "p"},
            {"{\"username\":\"root\",\"password\":\"p\"}", "root", "p"},
            {"# json\n{\n\t\"username\": \"root\", # comment\n\t'password'\t: 'p''q',\n}\n", "root", "p'q"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_credentials c = {.id = NULL};
        struct err e = ERR_INIT;

        scratch_text("c.yml", cases[i].text);
        expect_success(conf_read_credentials("c.yml", CONF_CREDENTIALS_ETCD, &c, &e) == 0, &e);
        assert_string_equal(c.id, cases[i].id);
        expect_secret(c.secret, cases[i].secret);
        assert_null(c.token);
        conf_credentials_clear(&c);
        assert_null(c.id);
        assert_null(c.secret);
    }
}

static void of_s3(void **state)
{
    struct conf_credentials c = {.id = NULL};
    struct err e = ERR_INIT;

    (void)state;
    scratch_text("c.yml", "access_key: AKIA\nsecret_key: s/+=\n");
    expect_success(conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e) == 0, &e);
    assert_string_equal(c.id, "AKIA");
    expect_secret(c.secret, "s/+=");
    assert_null(c.token);
    conf_credentials_clear(&c);

    scratch_text("c.yml", "session_token: t0k/en==\naccess_key: AKIA\nsecret_key: s\n");
    expect_success(conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e) == 0, &e);
    expect_secret(c.token, "t0k/en==");
    conf_credentials_clear(&c);

    /* The Go tool's templates write it in any case. */
    for (const char *const *token = (const char *const[]){"", "\"\"", "''", "~", "null", NULL}; *token; token++) {
        char text[100];

        (void)snprintf(text, sizeof(text), "access_key: AKIA\nsession_token: %s\nsecret_key: s\n", *token);
        scratch_text("c.yml", text);
        expect_success(conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e) == 0, &e);
        assert_null(c.token);
        conf_credentials_clear(&c);
    }
    scratch_text("c.yml", "session_token: ''\naccess_key: a\nsecret_key: b\nsession_token: ''\n");
    assert_int_equal(conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e), -1);
    expect_error(&e, ERR_CONFIG, "c.yml:4:1: session_token: is there a second time");
}

/* What is at hand where an access key is wanted: it is called by its name. */
static void files_of_other_programs(void **state)
{
    static const struct {
        const char *text, *what;
    } rows[] = {
            {"[default]\naws_access_key_id = AKIA\naws_secret_access_key = PASSWORD\n",
                    "a credentials file of the AWS CLI"},
            {"# mine\naws_access_key_id: AKIA\naws_secret_access_key: PASSWORD\n", "a credentials file of the AWS CLI"},
            {"export AWS_ACCESS_KEY_ID=AKIA\nexport AWS_SECRET_ACCESS_KEY=PASSWORD\n",
                    "a file of variables for the AWS CLI"},
            {"AWS_ACCESS_KEY_ID=AKIA\nAWS_SECRET_ACCESS_KEY=PASSWORD\n", "a file of variables for the AWS CLI"},
            {"{\n  \"AccessKeyId\": \"AKIA\",\n  \"SecretAccessKey\": \"PASSWORD\"\n}\n", "an answer of the AWS CLI"},
            {"{\"AccessKey\": {\"AccessKeyId\": \"AKIA\"}}\n", "an answer of the AWS CLI"},
            {"[default]\naccess_key = AKIA\nsecret_key = PASSWORD\n",
                    "a file with [sections], as the AWS CLI, s3cmd or rclone have"},
    };
    char line[256];

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct conf_credentials c;
        struct err e = ERR_INIT;

        scratch_text("c.yml", rows[i].text);
        assert_int_equal(conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e), -1);
        (void)snprintf(line, sizeof(line),
                "c.yml:1:1: looks like %s; here two lines of YAML are wanted: access_key: ... and secret_key: ...",
                rows[i].what);
        expect_error(&e, ERR_CONFIG, line);
    }
}

/* The lines hold PASSWORD wherever the content might show through. */
static void what_is_refused(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
            {"", "c.yml:1:1: username: is missing"},
            {"# PASSWORD\n", "c.yml:1:1: username: is missing"},
            {"password: PASSWORD\n", "c.yml:1:1: username: is missing"},
            {"username: a\n", "c.yml:1:1: password: is missing"},
            {"PASSWORD\n", "c.yml:1:1: is not 'key: value'"},
            {"username: a\nPASSWORD", "c.yml:2:1: is not 'key: value'"},
            {"PASSWORD: x\n", "c.yml:1:1: a key that is none of username, password"},
            {"username: a\nPassword: PASSWORD\n", "c.yml:2:1: a key that is none of username, password"},
            {"access_key: a\nsecret_key: b\n", "c.yml:1:1: a key that is none of username, password"},
            {"username: a\nusername: b\n", "c.yml:2:1: username: is there a second time"},
            {"username:\npassword: PASSWORD\n", "c.yml:1:10: username: has no value"},
            {"username: a\npassword: # PASSWORD\n",
                    "c.yml:2:11: begins with a sign that has another meaning in YAML; put it in quotes"},
            {"username: a\npassword: ~\n", "c.yml:2:11: password: has no value"},
            {"username: a\npassword: null\n", "c.yml:2:11: password: has no value"},
            {"username: a\npassword: ''\n", "c.yml:2:11: password: has no value"},
            /* YAML would take the first half for all of it. */
            {"username: a\npassword: PASS #WORD\n", "c.yml:2:16: password: a # behind a blank begins a comment; put "
                                                    "the value in quotes if it is a part of it, "
                                                    "else the comment into a line of its own"},
            {"username: a\npassword: PASSWORD\t# x\n", "c.yml:2:20: password: a # behind a blank begins a comment; put "
                                                       "the value in quotes if it is a part of it, "
                                                       "else the comment into a line of its own"},
            {"username: a\npassword:PASSWORD\n", "c.yml:2:1: is not 'key: value'"},
            {"'username': a\n'password':PASSWORD\n", "c.yml:2:12: a blank is missing behind the colon"},
            {"username: a\n  password: PASSWORD\n", "c.yml:2:3: is not indented like the first key"},
            {"  username: a\npassword: PASSWORD\n", "c.yml:2:1: is not indented like the first key"},
            {"username: a\npassword: PASS\n  WORD\n", "c.yml:3:3: is not indented like the first key"},
            {"username: a\n\tpassword: PASSWORD\n", "c.yml:2:1: a tab; YAML is indented with spaces alone"},
            {"username: a\npassword: \"PASS\nWORD\"\n", "c.yml:2:11: the closing quote is missing in this line"},
            {"username: a\npassword: 'PASSWORD\n", "c.yml:2:11: the closing quote is missing in this line"},
            {"username: a\npassword: \"PASSWORD\\", "c.yml:2:11: the closing quote is missing in this line"},
            {"username: a\npassword: \"PASSWORD\\\n", "c.yml:2:11: the closing quote is missing in this line"},
            {"username: a\npassword: 'PASSWORD' x\n",
                    "c.yml:2:22: there is something after the value; put all of it in quotes"},
            {"username: a\npassword: 'PASSWORD'# x\n",
                    "c.yml:2:21: there is something after the value; put all of it in quotes"},
            {"username: a\npassword: PASS: WORD\n",
                    "c.yml:2:15: there is something after the value; put all of it in quotes"},
            {"username: a\npassword: \xc3\xa4: WORD\n",
                    "c.yml:2:12: there is something after the value; put all of it in quotes"},
            {"username: a\npassword: \"PASSWORD\\n\"\n",
                    "c.yml:2:11: password: has an escape that is none of \\\" \\\\ \\/ \\xNN \\uNNNN"},
            {"username: a\npassword: \"PASSWORD\\ud800\"\n",
                    "c.yml:2:11: password: has an escape that is none of \\\" \\\\ \\/ \\xNN \\uNNNN"},
            {"username: a\npassword: \"PASSWORD\\u12\"\n",
                    "c.yml:2:11: password: has an escape that is none of \\\" \\\\ \\/ \\xNN \\uNNNN"},
            {"username: a\npassword: \"PASSWORD\\xzz\"\n",
                    "c.yml:2:11: password: has an escape that is none of \\\" \\\\ \\/ \\xNN \\uNNNN"},
            {"username: a\npassword: \"PASSWORD\\u0000\"\n",
                    "c.yml:2:11: password: contains a tab or a control character"},
            {"username: a\npassword: 'PASS\tWORD'\n", "c.yml:2:11: password: contains a tab or a control character"},
            {"username: a\npassword: [PASSWORD]\n",
                    "c.yml:2:11: begins with a sign that has another meaning in YAML; put it in quotes"},
            {"username: a\npassword: |\n  PASSWORD\n",
                    "c.yml:2:11: begins with a sign that has another meaning in YAML; put it in quotes"},
            {"username: a\npassword: - PASSWORD\n",
                    "c.yml:2:11: begins with a sign that has another meaning in YAML; put it in quotes"},
            {"username: &a PASSWORD\n",
                    "c.yml:1:11: begins with a sign that has another meaning in YAML; put it in quotes"},
            {"- PASSWORD\n", "c.yml:1:1: begins with a sign that has another meaning in YAML; put it in quotes"},
            {"username: a\npassword: p\xff\n", "c.yml:2:12: is not text in UTF-8"},
            {"username: a\npassword: p\x01\n", "c.yml:2:12: a control character (U+0001)"},
            {"username: a\n---\npassword: PASSWORD\n", "c.yml:2:1: is not 'key: value'"},
            {"username: a\npassword: b\n...\nusername: PASSWORD\n", "c.yml:4:1: there is something after the end"},
            {"--- PASSWORD\n", "c.yml:1:5: there is something after the value; put all of it in quotes"},
            {"{username: \"a\", password: PASSWORD}\n",
                    "c.yml:1:27: password: inside of braces a value must be in quotes"},
            {"{\"username\": \"a\" \"password\": \"PASSWORD\"}\n", "c.yml:1:18: a ',' or '}' is missing"},
            {"{\"username\": \"a\"", "c.yml:1:17: a ',' or '}' is missing"},
            {"{\"username\": \"a\",", "c.yml:1:18: is not 'key: value'"},
            {"{\"username\"", "c.yml:1:2: is not 'key: value'"},
            {"{\"username\": \"a\", \"password\": \"p\"} PASSWORD\n",
                    "c.yml:1:36: there is something after the value; put all of it in quotes"},
            {"{\"username\": \"a\", \"password\": \"p\"}\nPASSWORD\n", "c.yml:2:1: there is something after the end"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_credentials c = {.id = NULL};
        struct err e = ERR_INIT;

        scratch_text("c.yml", cases[i].text);
        assert_int_equal(conf_read_credentials("c.yml", CONF_CREDENTIALS_ETCD, &c, &e), -1);
        expect_error(&e, ERR_CONFIG, cases[i].line);
        assert_null(strstr(e.text, "PASS"));
        assert_null(c.id);
    }
}

static void what_s3_refuses(void **state)
{
    static const struct {
        const char *text, *line;
    } cases[] = {
            {"access_key: a\n", "c.yml:1:1: secret_key: is missing"},
            {"username: a\npassword: b\n", "c.yml:1:1: a key that is none of access_key, secret_key, session_token"},
            {"access_key: a b\nsecret_key: b\n",
                    "c.yml:1:13: access_key: has a character that an access key cannot have"},
            {"access_key: a/b\nsecret_key: b\n",
                    "c.yml:1:13: access_key: has a character that an access key cannot have"},
            {"access_key: a,b\nsecret_key: b\n",
                    "c.yml:1:13: access_key: has a character that an access key cannot have"},
            {"access_key: a\nsecret_key: b\nsession_token: \xc3\xa4\n",
                    "c.yml:3:16: session_token: has a character that a session token cannot have"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct conf_credentials c = {.id = NULL};
        struct err e = ERR_INIT;

        scratch_text("c.yml", cases[i].text);
        assert_int_equal(conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e), -1);
        expect_error(&e, ERR_CONFIG, cases[i].line);
    }
}

static void the_file_itself(void **state)
{
    struct conf_credentials c = {.id = NULL};
    struct err e = ERR_INIT;
    char text[16385];

    (void)state;
    assert_int_equal(conf_read_credentials("missing.yml", CONF_CREDENTIALS_S3, &c, &e), -1);
    expect_error(&e, ERR_NOT_FOUND, "missing.yml: No such file or directory");
    scratch_write("open.yml", "username: a\npassword: b\n", 24, 0644);
    assert_int_equal(conf_read_credentials("open.yml", CONF_CREDENTIALS_ETCD, &c, &e), -1);
    expect_error(&e, ERR_CONFIG, "open.yml: holds a secret but is open to all users (mode 0644); use chmod o-rwx");
    scratch_write("group.yml", "username: a\npassword: b\n", 24, 0640);
    expect_success(conf_read_credentials("group.yml", CONF_CREDENTIALS_ETCD, &c, &e) == 0, &e);
    conf_credentials_clear(&c);
    memset(text, '#', sizeof(text));
    scratch_write("long.yml", text, sizeof(text), 0600);
    assert_int_equal(conf_read_credentials("long.yml", CONF_CREDENTIALS_S3, &c, &e), -1);
    expect_error(&e, ERR_CONFIG, "long.yml: longer than 16384 bytes");
    memcpy(text, "username: ", 10);
    memset(text + 10, 'a', 1025);
    memcpy(text + 10 + 1025, "\npassword: b\n", 13);
    scratch_write("long.yml", text, 10 + 1025 + 13, 0600);
    assert_int_equal(conf_read_credentials("long.yml", CONF_CREDENTIALS_ETCD, &c, &e), -1);
    expect_error(&e, ERR_CONFIG, "long.yml:1:11: username: is too long");
}

static void out_of_memory_anywhere(void **state)
{
    size_t n = 0;
    bool reached;

    (void)state;
    scratch_text("c.yml", "session_token: t\naccess_key: AKIA\nsecret_key: s\n");
    do {
        struct conf_credentials c = {.id = NULL};
        struct err e = ERR_INIT;
        int r;

        failing_arm(++n);
        r = conf_read_credentials("c.yml", CONF_CREDENTIALS_S3, &c, &e);
        reached = failing_disarm();
        assert_int_equal(r, reached ? -1 : 0);
        assert_true(reached ? e.kind == ERR_RESOURCE && !c.id && !c.secret && !c.token : c.token != NULL);
        conf_credentials_clear(&c);
    } while (reached);
    assert_true(n > 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
            cmocka_unit_test(what_is_read),
            cmocka_unit_test(of_s3),
            cmocka_unit_test(files_of_other_programs),
            cmocka_unit_test(what_is_refused),
            cmocka_unit_test(what_s3_refuses),
            cmocka_unit_test(the_file_itself),
            cmocka_unit_test(out_of_memory_anywhere),
    };

    return cmocka_run_group_tests(tests, scratch_setup, scratch_teardown);
}
