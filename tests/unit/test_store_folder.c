/* The store that writes HTML files. */
#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "jobrunner/store.h"
#include "tests/unit/support.h"

static struct loop *loop;
static struct settings settings;
static struct store *store;
static char folder[4096];
static struct err fault;

struct job {
    struct store_job   job;
    struct store_op   *op;
    int                checkpoints, done;
    char               recorded[256], document[256];
    bool               hold, cancel;    /* at the checkpoint */
    enum store_verdict verdict;
    struct err         err;
};

static void on_checkpoint(void *arg, const char *document, int64_t ms)
{
    struct job *j = arg;

    ck_assert_int_gt(ms, 0);
    j->checkpoints++;
    snprintf(j->recorded, sizeof(j->recorded), "%s", document ? document : "");
    if (j->cancel)
        store_cancel(j->op);
    else if (!j->hold)
        store_proceed(j->op);
}

static void on_done(void *arg, enum store_verdict verdict, const char *document,
                    const struct err *e)
{
    struct job *j = arg;

    j->done++;
    j->verdict = verdict;
    snprintf(j->document, sizeof(j->document), "%s", document);
    if (e)
        j->err = *e;
    ck_assert((verdict == STORE_OK) == (e == NULL));
}

static const struct store_handlers handlers = { on_checkpoint, on_done };

static struct job a_job(const char *name, const char *html)
{
    return (struct job){ .job = { .task_id = "t-1", .name = name, .document = "",
                                  .html = html, .html_len = strlen(html) } };
}

static void write_now(struct job *j)
{
    j->op = store_write(store, &j->job, &handlers, j);
    ck_assert_ptr_nonnull(j->op);
    ck_assert_int_eq(j->checkpoints + j->done, 0); /* never before it has returned */
    support_until_count(loop, &j->done, 1);
}

static char *file_text(const char *name)
{
    static char text[4096];
    char path[5000];
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (!(f = fopen(path, "r")))
        return NULL;
    n = fread(text, 1, sizeof(text) - 1, f);
    text[n] = '\0';
    fclose(f);
    return text;
}

static int files_in_folder(void)
{
    DIR *d = opendir(folder);
    int n = 0;

    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

static void setup(void)
{
    struct store_deps deps = { .settings = &settings };

    loop = deps.loop = loop_new();
    snprintf(folder, sizeof(folder), "%s/a/b", support_dir());
    settings.tasks.doc_folder = folder;
    settings.tasks.concurrency = 30;        /* so that 60 may be under way */
    fault = ERR_NONE;
    ck_assert_int_eq(store_folder.open(&deps, &store, &fault), ERR_OK);
}

static void teardown(void)
{
    store_close(store);
    loop_free(loop);
}

START_TEST(a_dialog_becomes_a_file_named_after_session_and_task)
{
    struct job j = a_job("My S\xc3\xa9ssion/../x", "<p>hi</p>");

    write_now(&j);
    ck_assert_int_eq(j.verdict, STORE_OK);
    ck_assert_str_eq(j.document, "my-s-ssion-x");
    ck_assert_str_eq(j.recorded, ""); /* it is found by its name */
    ck_assert_str_eq(file_text("my-s-ssion-x--t-1.html"), "<p>hi</p>");
    ck_assert_int_eq(files_in_folder(), 1); /* and no temporary one */
}
END_TEST

START_TEST(another_attempt_replaces_the_file)
{
    struct job first = a_job("s", "one"), again = a_job("s", "two");

    write_now(&first);
    write_now(&again);
    ck_assert_str_eq(again.document, first.document);
    ck_assert_str_eq(file_text("s--t-1.html"), "two");
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

static const char *const recorded[] = { "../../etc/x", "sub/x", "1AbCdEf", "another-name", "x.html" };

START_TEST(a_document_in_another_store_does_not_name_the_file)
{
    struct job j = a_job("s", "x");

    j.job.document = recorded[_i];
    write_now(&j);
    ck_assert_str_eq(j.document, "s");
}
END_TEST

START_TEST(nothing_is_written_before_the_go_ahead)
{
    struct job j = a_job("s", "x");

    j.hold = true;
    j.op = store_write(store, &j.job, &handlers, &j);
    support_until_count(loop, &j.checkpoints, 1);
    ck_assert_int_eq(files_in_folder(), 0);
    store_proceed(j.op);
    support_until_count(loop, &j.done, 1);
    ck_assert_int_eq(files_in_folder(), 1);
}
END_TEST

START_TEST(a_cancelled_job_is_never_heard_of)
{
    struct job at_once = a_job("a", "x"), at_checkpoint = a_job("b", "x"),
               while_written = a_job("c", "x"), last = a_job("d", "x");

    at_once.op = store_write(store, &at_once.job, &handlers, &at_once);
    store_cancel(at_once.op);
    at_checkpoint.cancel = true;
    at_checkpoint.op = store_write(store, &at_checkpoint.job, &handlers, &at_checkpoint);
    support_until_count(loop, &at_checkpoint.checkpoints, 1);
    while_written.op = store_write(store, &while_written.job, &handlers, &while_written);
    support_until_count(loop, &while_written.checkpoints, 1);
    store_cancel(while_written.op);
    write_now(&last);
    ck_assert_int_eq(at_once.checkpoints + at_once.done, 0);
    ck_assert_int_eq(at_checkpoint.done + while_written.done, 0);
}
END_TEST

START_TEST(many_at_once_are_all_written)
{
    static struct job jobs[60];
    static char ids[60][16];

    for (int i = 0; i < 60; i++) {
        jobs[i] = a_job("s", "x");
        snprintf(ids[i], sizeof(ids[i]), "t-%d", i);
        jobs[i].job.task_id = ids[i];
        jobs[i].op = store_write(store, &jobs[i].job, &handlers, &jobs[i]);
    }
    for (int i = 0; i < 60; i++) {
        support_until_count(loop, &jobs[i].done, 1);
        ck_assert_int_eq(jobs[i].verdict, STORE_OK);
    }
    ck_assert_int_eq(files_in_folder(), 60);
}
END_TEST

START_TEST(more_than_the_queue_holds_are_put_off)
{
    static struct job jobs[300];
    int put_off = 0;

    for (int i = 0; i < 300; i++) {
        jobs[i] = a_job("s", "x");
        jobs[i].op = store_write(store, &jobs[i].job, &handlers, &jobs[i]);
    }
    for (int i = 0; i < 300; i++) {
        support_until_count(loop, &jobs[i].done, 1);
        put_off += jobs[i].verdict == STORE_AWAY;
    }
    ck_assert_int_gt(put_off, 0);
    ck_assert_int_lt(put_off, 300);
}
END_TEST

START_TEST(a_folder_that_went_away_is_made_again)
{
    struct job j = a_job("s", "x");

    ck_assert_int_eq(rmdir(folder), 0);
    write_now(&j);
    ck_assert_int_eq(j.verdict, STORE_OK);
}
END_TEST

START_TEST(a_file_in_the_folders_place_says_what_to_change)
{
    struct job j = a_job("s", "x");

    ck_assert_int_eq(rmdir(folder), 0);
    fclose(fopen(folder, "w"));
    write_now(&j);
    ck_assert_int_eq(j.verdict, STORE_MISCONFIGURED);
    ck_assert_ptr_nonnull(strstr(j.err.detail, "DOC_FOLDER"));
    ck_assert_ptr_nonnull(strstr(j.err.detail, "not a folder"));
}
END_TEST

START_TEST(a_path_that_is_no_folder_stops_the_start)
{
    struct store_deps deps = { .loop = loop, .settings = &settings };
    struct store *other;

    settings.tasks.doc_folder = "/dev/null";
    ck_assert_int_eq(store_folder.open(&deps, &other, &fault), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(fault.detail, "DOC_FOLDER"));
}
END_TEST

START_TEST(a_folder_for_others_stops_the_start)
{
    struct store_deps deps = { .loop = loop, .settings = &settings };
    struct store *other;

    if (geteuid() == 0 && (setegid(65534) < 0 || seteuid(65534) < 0))
        return;
    settings.tasks.doc_folder = "/root/confab-test/documents";
    if (access("/root", W_OK) == 0)
        settings.tasks.doc_folder = "/proc/confab";
    ck_assert_int_eq(store_folder.open(&deps, &other, &fault), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(fault.detail, "DOC_FOLDER"));
    settings.tasks.doc_folder = folder;
    settings.tasks.concurrency = 30;        /* so that 60 may be under way */
    ck_assert_int_eq(seteuid(getuid()), 0);
    ck_assert_int_eq(setegid(getgid()), 0);
}
END_TEST

START_TEST(old_temporary_files_are_cleaned_at_the_start_and_young_ones_not)
{
    struct store_deps deps = { .loop = loop, .settings = &settings };
    struct timespec old[2] = { { .tv_sec = time(NULL) - 7200 }, { .tv_sec = time(NULL) - 7200 } };
    const char *const names[] = { ".confab-aa.tmp", ".confab-bb.tmp", "mine.html" };
    char path[5000];

    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        fclose(fopen(path, "w"));
        if (i != 1)
            utimensat(0, path, old, 0);
    }
    store_close(store);
    ck_assert_int_eq(store_folder.open(&deps, &store, &fault), ERR_OK);
    ck_assert_ptr_null(file_text(names[0]));
    ck_assert_ptr_nonnull(file_text(names[1]));
    ck_assert_ptr_nonnull(file_text(names[2]));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("store_folder");
    TCase *c = tcase_create("files");

    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_dialog_becomes_a_file_named_after_session_and_task);
    tcase_add_test(c, another_attempt_replaces_the_file);
    tcase_add_loop_test(c, a_document_in_another_store_does_not_name_the_file, 0,
                        sizeof(recorded) / sizeof(*recorded));
    tcase_add_test(c, nothing_is_written_before_the_go_ahead);
    tcase_add_test(c, a_cancelled_job_is_never_heard_of);
    tcase_add_test(c, many_at_once_are_all_written);
    tcase_add_test(c, more_than_the_queue_holds_are_put_off);
    tcase_add_test(c, a_folder_that_went_away_is_made_again);
    tcase_add_test(c, a_file_in_the_folders_place_says_what_to_change);
    tcase_add_test(c, a_path_that_is_no_folder_stops_the_start);
    tcase_add_test(c, a_folder_for_others_stops_the_start);
    tcase_add_test(c, old_temporary_files_are_cleaned_at_the_start_and_young_ones_not);
    suite_add_tcase(s, c);
    return support_run(s);
}
