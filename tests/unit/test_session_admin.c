/* Sessions as a whole: made, listed, named, forgotten, and how they are called. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/session_admin.h"
#include "lib/chat/session_list.h"
#include "lib/chat/session_title.h"
#include "tests/unit/session_support.h"

#define INDEX "c1:{default}:idx:sessions"
#define OF(user) "c1:{default}:idx:user:" user

static struct child *child;

static void setup(void)
{
    session_setup();
    child = child_new();
}

/* --- one call at a time ------------------------------------------------------------------ */

struct answer {
    bool          done;
    enum err_code failed;
    char          id[KEYS_SESSION_MAX + 1], username[300], title[600], prompt[64];
    int64_t       turns, created_at;
};

static void put(char *to, size_t size, struct redis_arg text)
{
    snprintf(to, size, "%.*s", (int)text.len, text.s);
}

static void on_created(void *arg, const char *id, const struct err *e)
{
    struct answer *a = arg;

    a->done = true;
    a->failed = e ? e->code : ERR_OK;
    snprintf(a->id, sizeof a->id, "%s", id ? id : "");
}

static struct answer made(const struct session_new *n)
{
    struct answer a = { .done = false };

    ck_assert_ptr_nonnull(session_create(child->redis, &settings, n, on_created, &a));
    ck_assert(!a.done);
    support_until(loop, &a.done);
    return a;
}

static struct answer made_for(const char *username)
{
    return made(&(struct session_new){ .tenant = "default", .username = username });
}

static void on_record(void *arg, const struct session_record *r, const struct err *e)
{
    struct answer *a = arg;

    a->done = true;
    a->failed = e ? e->code : ERR_OK;
    if (!r)
        return;
    put(a->id, sizeof a->id, r->id);
    put(a->username, sizeof a->username, r->username);
    put(a->title, sizeof a->title, r->title);
    put(a->prompt, sizeof a->prompt, r->prompt);
    a->turns = r->turns;
    a->created_at = r->created_at;
}

static struct answer found(const char *tenant, const char *id)
{
    struct answer a = { .done = false };

    ck_assert_ptr_nonnull(session_find(child->redis, tenant, id, strlen(id), on_record, &a));
    support_until(loop, &a.done);
    return a;
}

static struct answer renamed(const char *id, const char *title)
{
    struct answer a = { .done = false };

    ck_assert_ptr_nonnull(session_rename(child->redis, "default", id, strlen(id), title, on_record,
                                         &a));
    support_until(loop, &a.done);
    return a;
}

static void on_forgotten(void *arg, const struct err *e)
{
    struct answer *a = arg;

    a->done = true;
    a->failed = e ? e->code : ERR_OK;
}

static enum err_code forgotten(const char *id)
{
    struct answer a = { .done = false };

    ck_assert_ptr_nonnull(session_forget(child->redis, &settings, "default", id, strlen(id),
                                         on_forgotten, &a));
    support_until(loop, &a.done);
    return a.failed;
}

/* --- lists ------------------------------------------------------------------------------- */

struct list { bool done; size_t count; char ids[SESSION_LIST_MAX][40]; char cursor[600]; };

static void on_list(void *arg, const struct session_list_page *page, const struct err *e)
{
    struct list *l = arg;

    ck_assert_ptr_null(e);
    l->done = true;
    l->count = page->count;
    for (size_t i = 0; i < page->count; i++)
        put(l->ids[i], sizeof l->ids[i], page->items[i].id);
    snprintf(l->cursor, sizeof l->cursor, "%s", page->next_cursor ? page->next_cursor : "");
}

static struct list *listed(const char *username, int64_t limit, const char *cursor)
{
    static struct list l;
    struct session_list_query q = { .tenant = "default", .username = username, .limit = limit,
                                    .cursor = cursor };
    struct err e = ERR_NONE;
    char copy[600];

    if (cursor)
        q.cursor = strcpy(copy, cursor);
    l.done = false;
    ck_assert_int_eq(session_list(child->redis, &q, on_list, &l, NULL, &e), ERR_OK);
    support_until(loop, &l.done);
    return &l;
}

/* Sessions "n<i>", one a millisecond unless they share it. */
static void seed(int count, bool same_time)
{
    free(support_redis_ask(redis_server, "EVAL %s 0 %s %s",
        "for i = 1, tonumber(ARGV[1]) do "
        "  local id, at = 'n' .. i, 1000000 + (ARGV[2] == '1' and 0 or i) "
        "  redis.call('HSET', 'c1:{default}:s:' .. #id .. ':' .. id, 'created', at, 'updated', at, "
        "             'turns', 1, 'username', 'Ada') "
        "  redis.call('ZADD', '" INDEX "', at, id) "
        "  redis.call('ZADD', '" OF("Ada") "', at, id) "
        "end", (char[]){ '0' + (char)(count / 100), '0' + (char)(count / 10 % 10),
                         '0' + (char)(count % 10), '\0' }, same_time ? "1" : "0"));
}

START_TEST(a_made_session_is_found_with_all_it_was_given)
{
    struct answer a = made(&(struct session_new){ .tenant = "default", .username = "Ada",
                                                  .title = "Engines", .prompt = "tutor" });
    struct answer b = found("default", a.id);

    ck_assert_int_eq(a.failed, ERR_OK);
    ck_assert_uint_eq(strlen(a.id), 32);
    ck_assert_int_eq(b.failed, ERR_OK);
    ck_assert_str_eq(b.id, a.id);
    ck_assert_str_eq(b.username, "Ada");
    ck_assert_str_eq(b.title, "Engines");
    ck_assert_str_eq(b.prompt, "tutor");
    ck_assert_int_eq(b.turns, 0);
    ck_assert_int_gt(b.created_at, 0);
    ck_assert_int_eq(found("other", a.id).failed, ERR_NO_SESSION);
    ck_assert_int_eq(found("default", "unknown").failed, ERR_NO_SESSION);
}
END_TEST

START_TEST(a_repeat_with_the_same_key_makes_no_second_session)
{
    struct session_new n = { .tenant = "default", .idempotency_key = "k", .body_hash = "1" };
    struct answer first = made(&n), again = made(&n);

    ck_assert_str_eq(first.id, again.id);
    n.body_hash = "2";
    ck_assert_int_eq(made(&n).failed, ERR_KEY_REUSED);
    n.body_hash = "1";
    ck_assert_int_eq(forgotten(first.id), ERR_OK);
    ck_assert_str_ne(made(&n).id, first.id);
}
END_TEST

START_TEST(its_prompt_serves_its_turns_and_its_life_is_the_sessions)
{
    struct answer a;
    struct user *u;

    settings.session.ttl = 60000;
    a = made(&(struct session_new){ .tenant = "default", .username = "Ada", .prompt = "tutor" });
    u = user_begin(child, a.id);
    user_until_begun_now(u);
    ck_assert_str_eq(u->prompt, "tutor");
    user_save(u, "hello", "there");
    user_until_saved(u);
    expect("61", "TTL c1:{default}:s:32:%s", a.id);     /* and a hundredth, rounded */
    expect("120", "TTL " OF("Ada"));
    ck_assert_int_eq(found("default", a.id).turns, 1);
}
END_TEST

START_TEST(a_session_is_called_by_its_first_words_unless_it_has_a_title)
{
    struct answer named = made(&(struct session_new){ .tenant = "default", .title = "Mine" });

    take_turn(child, "s", "  Where is it\nwarm in March? ", "South.");
    take_turn(child, "s", "And by train?", "No.");
    take_turn(child, named.id, "Hello", "Hello.");
    ck_assert_str_eq(found("default", "s").title, "Where is it warm in March?");
    ck_assert_str_eq(found("default", named.id).title, "Mine");
}
END_TEST

START_TEST(a_title_changes_and_goes)
{
    struct answer a = made_for("Ada");

    ck_assert_str_eq(renamed(a.id, "New").title, "New");
    ck_assert_str_eq(renamed(a.id, "").title, "");
    ck_assert_str_eq(renamed(a.id, "").username, "Ada");
    ck_assert_int_eq(renamed("unknown", "x").failed, ERR_NO_SESSION);
    expect("0", "EXISTS c1:{default}:s:7:unknown");
}
END_TEST

START_TEST(a_list_has_each_session_once_newest_first_whatever_the_page) /* loop: size of a page */
{
    static const int sizes[] = { 1, 7, 50, 99, 100, 200 };
    bool same_time = _i % 2;
    char before[40] = "", cursor[600] = "";
    int seen = 0;

    seed(100, same_time);
    do {
        struct list *l = listed("Ada", sizes[_i / 2], *cursor ? cursor : NULL);

        ck_assert_uint_le(l->count, (size_t)sizes[_i / 2]);
        for (size_t i = 0; i < l->count; i++, seen++) {
            if (*before && same_time)
                ck_assert_int_lt(strcmp(l->ids[i], before), 0);
            else if (*before)
                ck_assert_int_lt(atoi(l->ids[i] + 1), atoi(before + 1));
            strcpy(before, l->ids[i]);
        }
        strcpy(cursor, l->cursor);
    } while (*cursor);
    ck_assert_int_eq(seen, 100);
}
END_TEST

START_TEST(a_cursor_holds_when_its_session_goes) /* loop: all at the same time or not */
{
    struct list *l;
    char next[40], last[40];

    seed(20, _i);
    l = listed(NULL, 200, NULL);
    strcpy(last, l->ids[4]);
    strcpy(next, l->ids[5]);
    l = listed(NULL, 5, NULL);
    ck_assert_str_eq(l->ids[4], last);
    ck_assert_int_eq(forgotten(last), ERR_OK);
    l = listed(NULL, 5, l->cursor);
    ck_assert_str_eq(l->ids[0], next);
    expect("19", "ZCARD " INDEX);
    expect("19", "ZCARD " OF("Ada"));
}
END_TEST

START_TEST(a_cursor_holds_when_its_session_begins_anew)
{
    struct list *l;
    char next[40], last[40];

    seed(20, false);
    l = listed(NULL, 200, NULL);
    strcpy(last, l->ids[4]);
    strcpy(next, l->ids[5]);
    l = listed(NULL, 5, NULL);
    ck_assert_int_eq(forgotten(last), ERR_OK);
    take_turn(child, last, "q", "a");
    l = listed(NULL, 5, l->cursor);
    ck_assert_str_eq(l->ids[0], next);
}
END_TEST

START_TEST(what_has_expired_leaves_the_index_as_it_is_met)
{
    seed(100, false);
    for (int i = 11; i <= 100; i++)
        free(support_redis_ask(redis_server, "DEL c1:{default}:s:%d:n%d", i < 100 ? 3 : 4, i));
    ck_assert_uint_eq(listed("Ada", 50, NULL)->count, 10);
    expect("10", "ZCARD " OF("Ada"));
    expect("100", "ZCARD " INDEX);
    ck_assert_uint_eq(listed(NULL, 5, NULL)->count, 5);
    expect("10", "ZCARD " INDEX);
}
END_TEST

START_TEST(an_index_that_nobody_lists_does_not_grow_for_ever)
{
    char *size;

    for (int i = 0; i < 400; i++) {
        struct answer a = made_for(NULL);

        free(support_redis_ask(redis_server, "DEL c1:{default}:s:32:%s", a.id));
    }
    size = support_redis_ask(redis_server, "ZCARD " INDEX);
    ck_assert_int_le(atoi(size), 10);
    free(size);
}
END_TEST

START_TEST(users_see_their_own_sessions)
{
    struct answer a = made_for("Ada"), b = made_for("Bob");
    struct list *l = listed("Ada", 50, NULL);

    ck_assert_uint_eq(l->count, 1);
    ck_assert_str_eq(l->ids[0], a.id);
    ck_assert_uint_eq(listed("Eve", 50, NULL)->count, 0);
    ck_assert_uint_eq(listed(NULL, 50, NULL)->count, 2);
    ck_assert_int_eq(forgotten(b.id), ERR_OK);
    ck_assert_uint_eq(listed("Bob", 50, NULL)->count, 0);
    expect("0", "EXISTS " OF("Bob"));
}
END_TEST

/* A session of the same name that another has begun is not the user's any more. */
START_TEST(a_session_of_the_same_name_is_not_the_same)
{
    free(support_redis_ask(redis_server, "ZADD " OF("Ada") " 5 s"));
    take_turn(child, "s", "q", "a");
    ck_assert_uint_eq(listed("Ada", 50, NULL)->count, 0);
    expect("0", "EXISTS " OF("Ada"));
    ck_assert_uint_eq(listed(NULL, 50, NULL)->count, 1);
}
END_TEST

START_TEST(what_is_no_cursor_is_refused)
{
    static const char *const cursors[] = {
        "", "x", "5", "5-", "-61", "5-6", "5-6g", "5-61 ", "123456789012345678-61", "5_61", "5-6A",
    };

    for (size_t i = 0; i < sizeof cursors / sizeof *cursors; i++) {
        struct session_list_query q = { .tenant = "default", .limit = 5, .cursor = cursors[i] };
        struct err e = ERR_NONE;

        ck_assert_int_eq(session_list(child->redis, &q, on_list, NULL, NULL, &e), ERR_INVALID);
        ck_assert_str_eq(e.field, "cursor");
    }
}
END_TEST

/* --- titles ------------------------------------------------------------------------------ */

START_TEST(a_title_is_the_first_words_on_one_line)
{
    static const struct { const char *text, *title; } cases[] = {
        { "Hello", "Hello" },
        { "  a \t\n b\r\n\r\nc  ", "a b c" },
        { "", "" }, { " \n\u3000\u2028 ", "" },
        { "\u202Eevil\u202C", "evil" },
        { "0123456789012345678901234567890123456789012345678901234567890123",
          "0123456789012345678901234567890123456789012345678901234567890123" },
        { "01234567890123456789012345678901234567890123456789012345678901234",
          "0123456789012345678901234567890123456789012345678901234567890…" },
        { "Where is it warm in March, and how do I get there from Berlin by train?",
          "Where is it warm in March, and how do I get there from Berlin…" },
        { "春はあけぼの。やうやう白くなりゆく山ぎは、すこしあかりて", "春はあけぼの。やうやう白くなりゆく山ぎは…" },
        { "12345678901234567890123456789012345678901234567890123 👩‍👩‍👧‍👦 family",
          "12345678901234567890123456789012345678901234567890123…" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char title[SESSION_TITLE_MADE + 1];
        size_t len = session_title_of(cases[i].text, strlen(cases[i].text), title);

        ck_assert_str_eq(title, cases[i].title);
        ck_assert_uint_eq(len, strlen(title));
        ck_assert_uint_le(len, SESSION_TITLE_MADE);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("session_admin");
    TCase *t = tcase_create("all");

    tcase_set_timeout(t, 60);
    tcase_add_unchecked_fixture(t, session_case_setup, session_case_teardown);
    tcase_add_checked_fixture(t, setup, session_teardown);
    tcase_add_test(t, a_made_session_is_found_with_all_it_was_given);
    tcase_add_test(t, a_repeat_with_the_same_key_makes_no_second_session);
    tcase_add_test(t, its_prompt_serves_its_turns_and_its_life_is_the_sessions);
    tcase_add_test(t, a_session_is_called_by_its_first_words_unless_it_has_a_title);
    tcase_add_test(t, a_title_changes_and_goes);
    tcase_add_loop_test(t, a_list_has_each_session_once_newest_first_whatever_the_page, 0, 12);
    tcase_add_loop_test(t, a_cursor_holds_when_its_session_goes, 0, 2);
    tcase_add_test(t, a_cursor_holds_when_its_session_begins_anew);
    tcase_add_test(t, what_has_expired_leaves_the_index_as_it_is_met);
    tcase_add_test(t, an_index_that_nobody_lists_does_not_grow_for_ever);
    tcase_add_test(t, users_see_their_own_sessions);
    tcase_add_test(t, a_session_of_the_same_name_is_not_the_same);
    tcase_add_test(t, what_is_no_cursor_is_refused);
    tcase_add_test(t, a_title_is_the_first_words_on_one_line);
    suite_add_tcase(suite, t);
    return support_run(suite);
}
