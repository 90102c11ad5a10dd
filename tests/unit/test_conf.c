/* Settings by a table, from a file and the environment. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/conf.h"
#include "tests/unit/support.h"

struct things {
    char   *name, *key;
    int64_t count, wait, size;
    double  ratio;
    bool    on, name_given;
    int     colour;
};

#define AT(field) offsetof(struct things, field)
static const struct conf_row rows[] = {
    { .section = "a", .name = "name", .env = "NAME", .type = CONF_TEXT, .offset = AT(name),
      .dflt = "bob", .min = 2, .max = 1000, .help = "who", .given = AT(name_given) },
    { .section = "a", .name = "key", .env = "KEY", .type = CONF_SECRET, .offset = AT(key),
      .max = 1000, .help = "a secret" },
    { .section = "a", .name = "count", .env = "COUNT", .type = CONF_INT, .offset = AT(count),
      .dflt = "3", .min = -5, .max = 10, .help = "how many" },
    { .section = "b", .name = "wait", .env = "WAIT", .type = CONF_TIME, .offset = AT(wait),
      .dflt = "5s", .min = 100, .max = 90000000000, .help = "how long" },
    { .section = "b", .name = "size", .env = "SIZE", .type = CONF_SIZE, .offset = AT(size),
      .dflt = "1k", .min = 0, .max = 1 << 30, .help = "how large" },
    { .section = "b", .name = "ratio", .env = "RATIO", .type = CONF_NUMBER, .offset = AT(ratio),
      .dflt = "0.5", .min = 0, .max = 2, .help = "how much" },
    { .section = "b", .name = "on", .env = "ON", .type = CONF_BOOL, .offset = AT(on),
      .dflt = "off", .help = "whether" },
    { .section = "b", .name = "colour", .env = "COLOUR", .type = CONF_CHOICE,
      .offset = AT(colour), .dflt = "red", .choices = "red|green|blue", .help = "which" },
};
enum { ROWS = sizeof(rows) / sizeof(*rows) };

static struct things t;
static char *report;
static char file[4096], secret_file[4096];

static void setup(void)
{
    const char *dir = support_dir();

    t = (struct things){ 0 };
    report = NULL;
    snprintf(file, sizeof(file), "%s/t.ini", dir);
    snprintf(secret_file, sizeof(secret_file), "%s/secret", dir);
}

static void teardown(void)
{
    conf_free(rows, ROWS, &t);
    free(report);
}

static void write_to(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    ck_assert_ptr_nonnull(f);
    fputs(text, f);
    fclose(f);
}

/* ini NULL: no file. env: up to two settings. */
static bool load(const char *ini, const char *env1, const char *env2)
{
    const char *env[] = { env1, env1 ? env2 : NULL, NULL };
    size_t size;
    FILE *out;
    bool ok;

    conf_free(rows, ROWS, &t);
    t = (struct things){ 0 };
    free(report);
    out = open_memstream(&report, &size);
    if (ini)
        write_to(file, ini);
    ok = conf_load(rows, ROWS, &t, ini ? file : NULL, (char *const *)env, out);
    fclose(out);
    ck_assert_msg(ok == (*report == '\0'), "%s", report);
    return ok;
}

#define ck_reported(words) ck_assert_msg(strstr(report, words) != NULL, "report: %s", report)

START_TEST(with_nothing_given_the_defaults_hold)
{
    ck_assert(load(NULL, NULL, NULL));
    ck_assert_str_eq(t.name, "bob");
    ck_assert_str_eq(t.key, "");
    ck_assert_int_eq(t.count, 3);
    ck_assert_int_eq(t.wait, 5000);
    ck_assert_int_eq(t.size, 1024);
    ck_assert(t.ratio == 0.5);
    ck_assert(!t.on);
    ck_assert_int_eq(t.colour, 0);
    ck_assert(!t.name_given);
}
END_TEST

START_TEST(the_file_is_read)
{
    ck_assert(load("# words\n[a]\nname = ann\nkey=k#e;y ; x\n[b]\n  wait = 2m\nsize: 32k\n"
                   "; more\nratio = 1.25\non = yes\ncolour = blue\n", NULL, NULL));
    ck_assert_str_eq(t.name, "ann");
    ck_assert_str_eq(t.key, "k#e;y ; x");
    ck_assert_int_eq(t.wait, 120000);
    ck_assert_int_eq(t.size, 32768);
    ck_assert(t.ratio == 1.25);
    ck_assert(t.on);
    ck_assert_int_eq(t.colour, 2);
    ck_assert(t.name_given);
}
END_TEST

START_TEST(the_environment_wins_over_the_file)
{
    ck_assert(load("[a]\nname = ann\ncount = 7\n", "NAME=eve", NULL));
    ck_assert_str_eq(t.name, "eve");
    ck_assert_int_eq(t.count, 7);
}
END_TEST

START_TEST(an_empty_value_counts_as_not_given)
{
    ck_assert(load("[a]\nname = ann\n", "NAME=", NULL));
    ck_assert_str_eq(t.name, "ann");
    ck_assert(load("[a]\nname =\ncount=\n", "KEY_FILE=", "COUNT="));
    ck_assert_str_eq(t.name, "bob");
    ck_assert_int_eq(t.count, 3);
    ck_assert(!t.name_given);
}
END_TEST

START_TEST(names_that_only_begin_alike_are_others)
{
    ck_assert(load(NULL, "NAMES=x", "COUNT_FILE=/none"));
    ck_assert_str_eq(t.name, "bob");
}
END_TEST

START_TEST(a_value_is_read_by_its_type)
{
    static const struct { const char *env; int64_t wait, size, count; } table[] = {
        { "WAIT=500ms", 500, 1024, 3 },     { "WAIT=30", 30000, 1024, 3 },
        { "WAIT=1h", 3600000, 1024, 3 },    { "WAIT=30d", 2592000000, 1024, 3 },
        { "SIZE=4096", 5000, 4096, 3 },     { "SIZE=1M", 5000, 1 << 20, 3 },
        { "SIZE=1g", 5000, 1 << 30, 3 },    { "COUNT=-5", 5000, 1024, -5 },
        { "COUNT=10", 5000, 1024, 10 },     { "SIZE=0", 5000, 0, 3 },
    };

    ck_assert(load(NULL, table[_i].env, NULL));
    ck_assert_int_eq(t.wait, table[_i].wait);
    ck_assert_int_eq(t.size, table[_i].size);
    ck_assert_int_eq(t.count, table[_i].count);
}
END_TEST

START_TEST(a_wrong_value_is_named_with_what_it_should_be)
{
    static const struct { const char *env, *words; } table[] = {
        { "COUNT=x", "COUNT: \"x\" has to be a whole number" },
        { "COUNT=1.5", "COUNT: \"1.5\" has to be a whole number" },
        { "COUNT=11", "COUNT: \"11\" has to be between -5 and 10" },
        { "COUNT=-6", "COUNT" },            { "COUNT=99999999999999999999", "COUNT" },
        { "COUNT=1k", "COUNT" },            { "COUNT= 1", "COUNT" },
        { "WAIT=soon", "WAIT: \"soon\" has to be a time: 500ms, 30s, 5m, 1h, 30d" },
        { "WAIT=-5s", "WAIT" },             { "WAIT=5 s", "WAIT" },
        { "WAIT=99ms", "WAIT: \"99ms\" has to be between 100ms and 25000h" },
        { "WAIT=9223372036854775807d", "WAIT" },
        { "SIZE=1x", "SIZE: \"1x\" has to be a size" },
        { "RATIO=x", "RATIO: \"x\" has to be a number" },
        { "RATIO=nan", "RATIO" },           { "RATIO=3", "RATIO" },
        { "ON=maybe", "ON: \"maybe\" has to be on or off" },
        { "COLOUR=re", "COLOUR: \"re\" has to be one of red|green|blue" },
        { "COLOUR=red|green", "COLOUR" },   { "COLOUR=Red", "COLOUR" },
        { "NAME=a", "NAME: \"a\" has to have between 2 and 1000 bytes" },
        { "NAME=a\nb", "NAME" },            { "NAME=\xFF\xFF", "NAME" },
    };

    ck_assert(!load(NULL, table[_i].env, NULL));
    ck_reported(table[_i].words);
}
END_TEST

START_TEST(all_words_for_on_and_off_are_known)
{
    static const char *const on[] = { "on", "yes", "true", "1", "ON", "True" };
    static const char *const off[] = { "off", "no", "false", "0", "OFF", "False" };
    char env[20];

    snprintf(env, sizeof(env), "ON=%s", on[_i]);
    ck_assert(load(NULL, env, NULL) && t.on);
    snprintf(env, sizeof(env), "ON=%s", off[_i]);
    ck_assert(load("[b]\non = yes\n", env, NULL) && !t.on);
}
END_TEST

START_TEST(every_fault_is_reported_with_its_line)
{
    ck_assert(!load("[a]\ncount = x\nnames = y\n[c]\nname = y\nnonsense\n", "WAIT=z", NULL));
    ck_reported("t.ini:2: [a] count: \"x\"");
    ck_reported("t.ini:3: there is no setting [a] names");
    ck_reported("t.ini:5: there is no setting [c] name");
    ck_reported("t.ini:6: is neither");
    ck_reported("WAIT: \"z\"");
}
END_TEST

START_TEST(a_setting_that_is_given_twice_is_a_fault)
{
    ck_assert(!load("[a]\ncount = 1\n[b]\n[a]\ncount = 2\n", NULL, NULL));
    ck_reported("t.ini:5: [a] count: is given twice");
    ck_assert(!load("[a]\nkey = x\nkey_file = /etc/hostname\n", NULL, NULL));
    ck_reported("is given twice");
    ck_assert(!load(NULL, "KEY=x", "KEY_FILE=/etc/hostname"));
    ck_reported("is given twice");
}
END_TEST

START_TEST(a_long_line_is_read_whole_and_counts_as_one)
{
    static char ini[1000], long_name[901];

    memset(long_name, 'n', 900);
    snprintf(ini, sizeof(ini), "[a]\nname = %s\ncount = x\n", long_name);
    ck_assert(!load(ini, NULL, NULL));
    ck_assert_str_eq(t.name, long_name);
    ck_reported("t.ini:3: [a] count");
}
END_TEST

START_TEST(a_file_that_is_not_there_is_a_fault)
{
    char *none[] = { NULL };
    char words[1000] = "";
    FILE *out = fmemopen(words, sizeof(words), "w");

    ck_assert(!conf_load(rows, ROWS, &t, "/none/there.ini", none, out));
    fclose(out);
    ck_assert_ptr_nonnull(strstr(words, "/none/there.ini: No such file"));
    ck_assert_str_eq(t.name, "bob");
}
END_TEST

START_TEST(a_secret_is_the_first_line_of_its_file)
{
    char env[5000];

    snprintf(env, sizeof(env), "KEY_FILE=%s", secret_file);
    write_to(secret_file, "s3cret\r\nmore\n");
    ck_assert(load("[a]\nkey = other\n", env, NULL));
    ck_assert_str_eq(t.key, "s3cret");
    snprintf(env, sizeof(env), "[a]\nkey_file = %s\n", secret_file);
    ck_assert(load(env, NULL, NULL));
    ck_assert_str_eq(t.key, "s3cret");
    ck_assert(load(env, "KEY=direct", NULL));
    ck_assert_str_eq(t.key, "direct");
}
END_TEST

START_TEST(a_secret_file_that_gives_nothing_is_a_fault)
{
    char env[5000];

    ck_assert(!load(NULL, "KEY_FILE=/none/there", NULL));
    ck_reported("KEY_FILE: cannot read /none/there: No such file");
    ck_assert(!load(NULL, "KEY_FILE=/", NULL));
    ck_reported("KEY_FILE: cannot read /: Is a directory");
    write_to(secret_file, "\nsecond\n");
    snprintf(env, sizeof(env), "KEY_FILE=%s", secret_file);
    ck_assert(!load(NULL, env, NULL));
    ck_reported("is empty");
}
END_TEST

START_TEST(a_secret_is_never_printed)
{
    char printed[10] = "";
    FILE *out = fmemopen(printed, sizeof(printed), "w");

    ck_assert(!load("[a]\nkey = hush\x01hush\n", NULL, NULL));
    ck_reported("[a] key: the value has to be UTF-8 without control characters");
    ck_assert_ptr_null(strstr(report, "hush"));
    ck_assert(load(NULL, "KEY=hush", NULL));
    ck_assert(!conf_print(rows, ROWS, &t, "a.key", out));
    fclose(out);
    ck_assert_str_eq(printed, "");
}
END_TEST

static char *printed_by(void (*print)(const struct conf_row *, size_t, FILE *))
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    print(rows, ROWS, out);
    fclose(out);
    return text;
}

START_TEST(every_row_is_in_all_that_people_read)
{
    char *help = printed_by(conf_help), *man = printed_by(conf_man),
         *example = printed_by(conf_example), *table = printed_by(conf_markdown);

    for (size_t i = 0; i < ROWS; i++) {
        ck_assert_ptr_nonnull(strstr(help, rows[i].env));
        ck_assert_ptr_nonnull(strstr(help, rows[i].help));
        ck_assert_ptr_nonnull(strstr(man, rows[i].env));
        ck_assert_ptr_nonnull(strstr(example, rows[i].env));
        ck_assert_ptr_nonnull(strstr(table, rows[i].env));
    }
    ck_assert_ptr_nonnull(strstr(help, "red|green|blue"));
    ck_assert_ptr_nonnull(strstr(table, "red\\|green\\|blue"));
    /* The example changes nothing, and with its settings taken in, still nothing. */
    ck_assert(load(example, NULL, NULL));
    for (char *p = example; (p = strstr(p, "\n#")); p++)
        p[1] = p[2] == ' ' ? '#' : ' ';
    ck_assert_msg(load(example, NULL, NULL), "%s", example);
    ck_assert_int_eq(t.wait, 5000);
    free(help);
    free(man);
    free(example);
    free(table);
}
END_TEST

START_TEST(scripts_can_ask_for_one_value)
{
    static const struct { const char *name, *value; } table[] = {
        { "a.name", "bob\n" }, { "b.wait", "5000\n" }, { "b.size", "1024\n" },
        { "b.ratio", "0.5\n" }, { "b.on", "off\n" }, { "b.colour", "red\n" }, { "a.wait", NULL },
        { "nope", NULL }, { "b.waiting", NULL },
    };
    char printed[100] = "";
    FILE *out = fmemopen(printed, sizeof(printed), "w");

    ck_assert(load(NULL, NULL, NULL));
    ck_assert_int_eq(conf_print(rows, ROWS, &t, table[_i].name, out), table[_i].value != NULL);
    fclose(out);
    ck_assert_str_eq(printed, table[_i].value ? table[_i].value : "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("conf");
    TCase *tc = tcase_create("conf");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, with_nothing_given_the_defaults_hold);
    tcase_add_test(tc, the_file_is_read);
    tcase_add_test(tc, the_environment_wins_over_the_file);
    tcase_add_test(tc, an_empty_value_counts_as_not_given);
    tcase_add_test(tc, names_that_only_begin_alike_are_others);
    tcase_add_loop_test(tc, a_value_is_read_by_its_type, 0, 10);
    tcase_add_loop_test(tc, a_wrong_value_is_named_with_what_it_should_be, 0, 23);
    tcase_add_loop_test(tc, all_words_for_on_and_off_are_known, 0, 6);
    tcase_add_test(tc, every_fault_is_reported_with_its_line);
    tcase_add_test(tc, a_setting_that_is_given_twice_is_a_fault);
    tcase_add_test(tc, a_long_line_is_read_whole_and_counts_as_one);
    tcase_add_test(tc, a_file_that_is_not_there_is_a_fault);
    tcase_add_test(tc, a_secret_is_the_first_line_of_its_file);
    tcase_add_test(tc, a_secret_file_that_gives_nothing_is_a_fault);
    tcase_add_test(tc, a_secret_is_never_printed);
    tcase_add_test(tc, every_row_is_in_all_that_people_read);
    tcase_add_loop_test(tc, scripts_can_ask_for_one_value, 0, 9);
    suite_add_tcase(suite, tc);
    return support_run(suite);
}
