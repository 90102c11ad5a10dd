/* What a turn finds, and what it leaves. */
#include <check.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/session_admin.h"
#include "lib/chat/session_turn.h"
#include "tests/unit/session_support.h"

#define HASH "c1:{default}:s:1:s"
#define PAIR(user, bot) "{\"role\":\"user\",\"content\":\"" user "\"}," \
                        "{\"role\":\"assistant\",\"content\":\"" bot "\"}\n"

static struct child *child;

static void setup(void)
{
    session_setup();
    child = child_new();
}

static int64_t ask_number(const char *command)
{
    char *said = support_redis_ask(redis_server, command);
    int64_t n = strtoll(said, NULL, 10);

    free(said);
    return n;
}

/* --- the window -------------------------------------------------------------------------- */

START_TEST(the_first_turn_of_a_session_finds_nothing)
{
    struct user *u = user_begin(child, "s");

    user_until_begun_now(u);
    ck_assert_int_eq(u->number, 1);
    ck_assert_uint_eq(u->window_count, 0);
    ck_assert_str_eq(u->prompt, "");
    expect("0", "EXISTS " HASH " " HASH ":msgs");
}
END_TEST

START_TEST(the_next_turns_find_whole_pairs_oldest_first)
{
    struct user *u;

    take_turn(child, "s", "one", "uno");
    take_turn(child, "s", "two", "due");
    u = user_begin(child, "s");
    user_until_begun_now(u);
    ck_assert_int_eq(u->number, 3);
    ck_assert_str_eq(u->window, PAIR("one", "uno") PAIR("two", "due"));
}
END_TEST

START_TEST(of_a_long_dialog_the_latest_turns_are_read)
{
    struct user *u;
    char said[16];

    settings.session.context_messages = 2 * _i;
    for (int i = 1; i <= 20; i++) {
        snprintf(said, sizeof said, "%d", i);
        take_turn(child, "s", said, "x");
    }
    u = user_begin(child, "s");
    user_until_begun_now(u);
    ck_assert_uint_eq(u->window_count, _i < 20 ? _i : 20);
    snprintf(said, sizeof said, ":\"%d\"", _i < 20 ? 21 - _i : 1);
    ck_assert(_i == 0 || strstr(u->window, said));
    ck_assert(_i == 0 || strstr(u->window, "\"20\""));
    ck_assert_int_eq(u->number, 21);
}
END_TEST

START_TEST(the_window_keeps_to_its_bytes_newest_first)
{
    struct user *u;
    int64_t entry;

    take_turn(child, "s", "one", "uno");
    take_turn(child, "s", "two", "due");
    take_turn(child, "s", "thr", "tre");
    entry = ask_number("EVAL return(#redis.call('LINDEX','" HASH ":msgs',0)) 0");
    settings.session.context_tokens = (entry * _i + 7) / 8;
    u = user_begin(child, "s");
    user_until_begun_now(u);
    ck_assert_uint_eq(u->window_count, _i);
    ck_assert(_i < 1 || strstr(u->window, "thr"));
    ck_assert(_i < 2 || strstr(u->window, "two"));
}
END_TEST

START_TEST(a_latest_turn_over_the_budget_is_left_out_with_all_before_it)
{
    struct user *u;
    char *text = calloc(1, 70001);

    memset(text, 'x', 70000);
    take_turn(child, "s", "short", "short");
    take_turn(child, "s", "long", text);
    free(text);
    u = user_begin(child, "s");
    user_until_begun_now(u);
    ck_assert_uint_eq(u->window_count, 0);
    ck_assert_int_eq(u->number, 3);
}
END_TEST

START_TEST(the_prompt_is_the_sessions)
{
    struct user *u;

    free(support_redis_ask(redis_server, "HSET " HASH " prompt poet created 1"));
    u = user_begin(child, "s");
    user_until_begun_now(u);
    ck_assert_str_eq(u->prompt, "poet");
}
END_TEST

START_TEST(an_entry_that_is_no_turn_is_not_shown_to_the_model)
{
    struct user *u;

    free(support_redis_ask(redis_server, "RPUSH " HASH ":msgs rubbish"));
    take_turn(child, "s", "one", "uno");
    u = user_begin(child, "s");
    user_until_begun_now(u);
    ck_assert_str_eq(u->window, PAIR("one", "uno"));
    ck_assert_int_eq(u->number, 3);
}
END_TEST

/* --- what is stored ---------------------------------------------------------------------- */

START_TEST(a_saved_turn_is_one_entry_under_its_fence)
{
    struct user *u = user_begin(child, "s");
    struct turn_holder holder;
    struct turn t;
    char *entry, *fence;

    user_until_begun_now(u);
    fence = support_redis_ask(redis_server, "HGET " HASH ":lock fence");
    user_save(u, "hi", "hello");
    user_until_saved(u);
    ck_assert(u->saved);
    expect("1", "LLEN " HASH ":msgs");
    entry = support_redis_ask(redis_server, "LINDEX " HASH ":msgs 0");
    ck_assert_int_eq(turn_decode(entry, strlen(entry), &t, &holder, NULL), ERR_OK);
    ck_assert_int_eq(t.id, strtoll(fence, NULL, 10));
    ck_assert_str_eq(t.user, "hi");
    ck_assert_str_eq(t.bot, "hello");
    ck_assert_int_eq(t.asked_at, 1772357400000);
    turn_release(&holder);
    free(entry);
    free(fence);
}
END_TEST

START_TEST(the_session_has_its_times_its_turns_and_a_place_in_the_index)
{
    int64_t before = ask_number("EVAL return(redis.call('TIME')[1]) 0") * 1000, created;

    take_turn(child, "s", "one", "uno");
    created = ask_number("HGET " HASH " created");
    ck_assert_int_ge(created, before);
    ck_assert_int_eq(ask_number("ZSCORE c1:{default}:idx:sessions s") / 1000, created);
    take_turn(child, "s", "two", "due");
    expect("2", "HGET " HASH " turns");
    ck_assert_int_eq(ask_number("HGET " HASH " created"), created);
    ck_assert_int_ge(ask_number("HGET " HASH " updated"), created);
    ck_assert_int_eq(ask_number("ZSCORE c1:{default}:idx:sessions s") / 1000, created);
}
END_TEST

START_TEST(each_turn_renews_the_life_of_a_session)
{
    take_turn(child, "s", "one", "uno");
    free(support_redis_ask(redis_server, "PEXPIRE " HASH " 60000"));
    free(support_redis_ask(redis_server, "PEXPIRE " HASH ":msgs 60000"));
    take_turn(child, "s", "two", "due");
    ck_assert_int_gt(ask_number("PTTL " HASH), 3500 * 1000);
    ck_assert_int_gt(ask_number("PTTL " HASH ":msgs"), 3500 * 1000);
}
END_TEST

START_TEST(a_session_lives_for_ever_with_ttl_0_or_while_a_task_is_open)
{
    take_turn(child, "s", "one", "uno");
    if (_i == 0)
        settings.session.ttl = 0;
    else
        free(support_redis_ask(redis_server, "HSET " HASH " tasks 1"));
    take_turn(child, "s", "two", "due");
    expect("-1", "PTTL " HASH);
    expect("-1", "PTTL " HASH ":msgs");
}
END_TEST

START_TEST(with_a_max_age_no_turn_renews_it)
{
    settings.session.ttl = _i ? 3600 * 1000 : 0;
    settings.session.max_age = 60 * 1000;
    take_turn(child, "s", "one", "uno");
    ck_assert_int_le(ask_number("PTTL " HASH), 60 * 1000);
    ck_assert_int_gt(ask_number("PTTL " HASH), 50 * 1000);
    free(support_redis_ask(redis_server, "EVAL return(redis.call('HINCRBY','" HASH
                                         "','created',-40000)) 0"));
    take_turn(child, "s", "two", "due");
    ck_assert_int_le(ask_number("PTTL " HASH), 20 * 1000);
    ck_assert_int_le(ask_number("PTTL " HASH ":msgs"), 20 * 1000);
    ck_assert_int_gt(ask_number("PTTL " HASH), 10 * 1000);
}
END_TEST

START_TEST(a_ttl_that_is_shorter_than_what_is_left_of_the_age_counts)
{
    settings.session.ttl = 5 * 1000;
    settings.session.max_age = 60 * 1000;
    take_turn(child, "s", "one", "uno");
    ck_assert_int_le(ask_number("PTTL " HASH), 5 * 1000 + 50);
}
END_TEST

/* A hundredth more or less of its life is not worth two writes a turn. */
START_TEST(a_life_that_was_set_just_now_is_left_alone)
{
    take_turn(child, "s", "one", "uno");
    take_turn(child, "s", "two", "due");
    free(support_redis_ask(redis_server, "PEXPIRE " HASH " 3601000"));
    take_turn(child, "s", "three", "tre");
    ck_assert_int_le(ask_number("PTTL " HASH), 3601 * 1000);
    free(support_redis_ask(redis_server, "PEXPIRE " HASH " 3599000"));
    take_turn(child, "s", "four", "quattro");
    ck_assert_int_gt(ask_number("PTTL " HASH), 3602 * 1000);
    settings.session.ttl = 60 * 1000;
    take_turn(child, "s", "five", "cinque");
    ck_assert_int_le(ask_number("PTTL " HASH), 61 * 1000);
    ck_assert_int_le(ask_number("PTTL " HASH ":msgs"), 61 * 1000);
}
END_TEST

START_TEST(an_open_task_keeps_a_session_beyond_its_age)
{
    settings.session.max_age = 1;
    free(support_redis_ask(redis_server, "HSET " HASH " tasks 1 created 1"));
    take_turn(child, "s", "one", "uno");
    expect("-1", "PTTL " HASH);
    expect("-1", "PTTL " HASH ":msgs");
}
END_TEST

START_TEST(what_only_helps_a_running_turn_goes_by_itself)
{
    struct user *first = user_repeat(child, "s", "key", "body"), *second;

    user_until_begun_now(first);
    second = user_begin(child, "s");
    until_queue_has("s", 1);
    ck_assert_int_gt(ask_number("PTTL " HASH ":lock"), settings.model.turn_timeout);
    ck_assert_int_gt(ask_number("PTTL " HASH ":wait"), settings.model.turn_timeout);
    user_save(first, "one", "uno");
    user_until_begun_now(second);
    user_drop(second);
    until_queue_has("s", 0);
    ck_assert_int_gt(ask_number("PTTL " HASH ":lock"), 0);
    expect("0", "EXISTS " HASH ":wait");
}
END_TEST

/* A fence is the time of its grant, in us. */
START_TEST(the_lock_outlives_any_turn_though_not_each_one_renews_it)
{
    int64_t half = session_lock_life(&settings) / 2;

    ck_assert_int_gt(half, settings.model.turn_timeout + settings.session.wait +
                           settings.session.lease);
    take_turn(child, "s", "one", "uno");
    ck_assert_int_gt(ask_number("PTTL " HASH ":lock"), half);
    free(support_redis_ask(redis_server, "PEXPIRE " HASH ":lock 1000"));
    free(support_redis_ask(redis_server, "HINCRBY " HASH ":lock fence -%d000", (int)half));
    take_turn(child, "s", "two", "due");
    ck_assert_int_gt(ask_number("PTTL " HASH ":lock"), half);
}
END_TEST

static const struct { const char *s; size_t len; } odd_ids[] = {
    { "a:msgs", 6 }, { "1:s:lock", 8 }, { " ", 1 }, { "a b", 3 }, { "%s%n", 4 }, { "{x}", 3 },
    { "\xf0\x9f\x98\x80", 4 }, { "\xff\xfe\x01\n\r\t\"'\\", 9 }, { "c1:wake:x 7", 11 },
    { "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
      "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef", 256 },
};

START_TEST(an_id_of_any_bytes_is_a_session_of_its_own)
{
    struct session_request q = { .tenant = "default", .id = odd_ids[_i].s,
                                 .id_len = odd_ids[_i].len, .idempotency_key = "k",
                                 .body_hash = "h" };
    struct user *u;

    take_turn(child, "a", "other", "other");
    u = user_begin_with(child, &q);
    user_until_begun_now(u);
    ck_assert_int_eq(u->number, 1);
    user_save(u, "one", "uno");
    user_until_saved(u);
    ck_assert(u->saved);
    q.idempotency_key = NULL;
    u = user_begin_with(child, &q);
    user_until_begun_now(u);
    ck_assert_str_eq(u->window, PAIR("one", "uno"));
    expect("2", "ZCARD c1:{default}:idx:sessions");
}
END_TEST

START_TEST(another_tenants_session_of_the_same_id_is_another)
{
    struct session_request q = { .tenant = "acme", .id = "s", .id_len = 1 };
    struct user *u;

    take_turn(child, "s", "one", "uno");
    u = user_begin_with(child, &q);
    user_until_begun_now(u);
    ck_assert_int_eq(u->number, 1);
}
END_TEST

START_TEST(a_turn_whose_window_is_forgotten_is_small)
{
    char id[KEYS_SESSION_MAX + 1], tenant[KEYS_TENANT_MAX + 1];
    struct session_request q = { .tenant = tenant, .id = id, .id_len = KEYS_SESSION_MAX,
                                 .idempotency_key = "k", .body_hash = "h" };
    struct user *u;

    memset(id, 'i', sizeof id);
    memset(tenant, 't', sizeof tenant);
    tenant[KEYS_TENANT_MAX] = '\0';
    u = user_begin_with(child, &q);
    user_until_begun_now(u);
    session_forget_window(u->turn);
    ck_assert_ptr_null(u->turn->window);
    ck_assert_uint_le(malloc_usable_size(u->turn), 1024);
}
END_TEST

/* --- what it costs ----------------------------------------------------------------------- */

/* Bytes that Redis sent since the statistics were reset, and how often it ran each command. */
struct cost { int64_t bytes; char calls[2000]; };

static struct cost cost_so_far(void)
{
    char *net = support_redis_ask(redis_server, "INFO stats");
    char *stats = support_redis_ask(redis_server, "INFO commandstats");
    struct cost cost = { .bytes = strtoll(strstr(net, "total_net_output_bytes:") + 23, NULL, 10) };
    size_t len = 0;

    for (char *line = strtok(stats, "\r\n"); line; line = strtok(NULL, "\r\n"))
        if (strncmp(line, "cmdstat_", 8) == 0 && strncmp(line, "cmdstat_config", 14) != 0)
            len += (size_t)snprintf(cost.calls + len, sizeof cost.calls - len, "%.*s\n",
                                    (int)strcspn(line, ","), line);
    ck_assert_uint_lt(len, sizeof cost.calls);
    free(net);
    free(stats);
    return cost;
}

static int by_name(const void *x, const void *y)
{
    return strcmp(*(char *const *)x, *(char *const *)y);
}

/* INFO lists commands in no particular order. */
static void sort_lines(char *text)
{
    char *lines[64], *copy = strdup(text);
    size_t n = 0;

    for (char *line = strtok(copy, "\n"); line && n < 64; line = strtok(NULL, "\n"))
        lines[n++] = line;
    qsort(lines, n, sizeof lines[0], by_name);
    *text = '\0';
    for (size_t i = 0; i < n; i++) {
        strcat(text, lines[i]);
        strcat(text, "\n");
    }
    free(copy);
}

static void store_turns(int turns)
{
    static const char script[] =
        "for n = 1, ARGV[1] do redis.call('RPUSH', KEYS[1], ARGV[2]) end";
    static const char entry[] =
        "{\"id\":1772357400000123,\"asked\":1,\"answered\":2,\"model\":\"m\"}\n" PAIR("one", "uno");

    free(support_redis_ask(redis_server, "DEL " HASH ":msgs"));
    free(support_redis_ask(redis_server, "EVAL %s 1 " HASH ":msgs %d %b", script, turns, entry,
                           strlen(entry) - 1));
    free(support_redis_ask(redis_server, "HSET " HASH " turns %d", turns));
}

static struct cost cost_of_a_turn_after(int turns)
{
    struct cost cost;

    store_turns(turns);
    free(support_redis_ask(redis_server, "CONFIG RESETSTAT"));
    take_turn(child, "s", "one", "uno");
    cost = cost_so_far();
    sort_lines(cost.calls);
    return cost;
}

/* While nobody else wants the session. Of them four write: to the lock twice, to the session, and
 * the pair. */
START_TEST(a_turn_of_a_session_that_is_known_is_twelve_commands)
{
    take_turn(child, "s", "one", "uno");
    ck_assert_str_eq(cost_of_a_turn_after(8).calls,
                     "cmdstat_evalsha:calls=2\ncmdstat_hmget:calls=4\ncmdstat_hset:calls=3\n"
                     "cmdstat_info:calls=1\ncmdstat_lrange:calls=1\ncmdstat_pttl:calls=1\n"
                     "cmdstat_rpush:calls=1\ncmdstat_time:calls=2\n");
}
END_TEST

START_TEST(a_turn_costs_the_same_after_10_and_after_10000_turns)
{
    struct cost few, many;

    settings.session.context_messages = 20;
    take_turn(child, "s", "one", "uno");    /* the scripts are known from now on */
    few = cost_of_a_turn_after(10);
    many = cost_of_a_turn_after(10000);
    ck_assert_str_eq(few.calls, many.calls);
    ck_assert_ptr_nonnull(strstr(few.calls, "cmdstat_evalsha:calls=2\n"));
    ck_assert_ptr_nonnull(strstr(few.calls, "cmdstat_lrange:calls=2\n"));
    ck_assert_int_le(llabs(many.bytes - few.bytes), 16);    /* a number has more digits */
}
END_TEST

/* --- a deleted session ------------------------------------------------------------------- */

static void on_forgotten(void *arg, const struct err *e)
{
    ck_assert_ptr_null(e);
    *(bool *)arg = true;
}

static void forget_session(void)
{
    bool done = false;

    session_forget(child->redis, &settings, "default", "s", 1, on_forgotten, &done);
    support_until(loop, &done);
}

START_TEST(a_turn_of_a_deleted_session_is_not_saved)
{
    struct user *u;

    take_turn(child, "s", "one", "uno");
    u = user_begin(child, "s");
    user_until_begun_now(u);
    forget_session();
    user_save(u, "two", "due");
    user_until_saved(u);
    ck_assert_int_eq(u->failed, ERR_SESSION_GONE);
    expect("0", "EXISTS " HASH " " HASH ":msgs");
    expect("0", "ZCARD c1:{default}:idx:sessions");
}
END_TEST

START_TEST(who_waits_for_a_deleted_session_begins_a_new_one_at_once)
{
    struct user *first, *second;

    take_turn(child, "s", "one", "uno");
    first = user_begin(child, "s");
    user_until_begun_now(first);
    second = user_begin(child, "s");
    until_queue_has("s", 1);
    forget_session();
    user_until_begun_now(second);
    ck_assert_int_eq(second->number, 1);
    ck_assert_uint_eq(second->window_count, 0);
    user_save(first, "two", "due");
    user_until_saved(first);
    ck_assert_int_eq(first->failed, ERR_SESSION_GONE);
    user_save(second, "new", "nuovo");
    user_until_saved(second);
    ck_assert(second->saved);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(the_stored_answer_goes_with_the_session)
{
    struct user *u = user_repeat(child, "s", "key", "body");

    user_until_begun_now(u);
    user_save(u, "one", "uno");
    user_until_saved(u);
    forget_session();
    take_turn(child, "s", "other", "altro");
    u = user_repeat(child, "s", "key", "body");
    user_until_answered(u);
    ck_assert(u->begun && !u->replayed);
}
END_TEST

/* --- reading ----------------------------------------------------------------------------- */

struct page { bool done, exists; int64_t turns, created; size_t count; char first[8], last[8]; };

static void copy_user(char out[8], const struct session_part *entry)
{
    struct turn_holder holder;
    struct turn t;

    ck_assert_int_eq(turn_decode(entry->s, entry->len, &t, &holder, NULL), ERR_OK);
    snprintf(out, 8, "%.7s", t.user);
    turn_release(&holder);
}

static void on_page(void *arg, const struct session_page *page, const struct err *e)
{
    struct page *p = arg;

    ck_assert_ptr_null(e);
    *p = (struct page){ .done = true, .exists = page->exists, .turns = page->turns,
                        .created = page->created_at, .count = page->count };
    if (page->count) {
        copy_user(p->first, &page->entries[0]);
        copy_user(p->last, &page->entries[page->count - 1]);
    }
}

static struct page read_page(int64_t first, int64_t count)
{
    struct page p = { .done = false };

    ck_assert_ptr_nonnull(session_read(child->sessions, "default", "s", 1, first, count, on_page,
                                       &p));
    ck_assert(!p.done);
    support_until(loop, &p.done);
    return p;
}

START_TEST(a_page_is_a_stretch_of_the_dialog)
{
    static const struct { int first, count, got; const char *from, *to; } cases[] = {
        { 0, 20, 20, "0", "19" }, { 0, 8, 8, "0", "7" }, { 7, 9, 9, "7", "15" },
        { 19, 5, 1, "19", "19" }, { 20, 5, 0, "", "" }, { 0, 0, 0, "", "" }, { 3, 1, 1, "3", "3" },
    };
    char said[16];
    struct page p;

    for (int i = 0; i < 20; i++) {
        snprintf(said, sizeof said, "%d", i);
        take_turn(child, "s", said, "x");
    }
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        p = read_page(cases[i].first, cases[i].count);
        ck_assert(p.exists);
        ck_assert_int_eq(p.turns, 20);
        ck_assert_int_gt(p.created, 0);
        ck_assert_uint_eq(p.count, (size_t)cases[i].got);
        ck_assert_str_eq(p.first, cases[i].from);
        ck_assert_str_eq(p.last, cases[i].to);
    }
}
END_TEST

START_TEST(a_page_of_large_turns_ends_early_but_never_empty)
{
    size_t len = _i ? 1000 * 1000 : 5 * 1000 * 1000;
    char *text = malloc(len + 1);
    struct page p;

    settings.model.max_answer = 8 << 20;
    memset(text, 'x', len);
    text[len] = '\0';
    for (int i = 0; i < 6; i++)
        take_turn(child, "s", "q", text);
    free(text);
    p = read_page(0, 6);
    ck_assert_uint_eq(p.count, _i ? 4 : 1);
    ck_assert_int_eq(p.turns, 6);
}
END_TEST

START_TEST(a_session_that_is_not_there_is_told_so)
{
    struct page p = read_page(0, 10);

    ck_assert(!p.exists);
    ck_assert_uint_eq(p.count, 0);
}
END_TEST

START_TEST(a_cancelled_reading_calls_nobody)
{
    struct page p = { .done = false };
    struct session_read *r = session_read(child->sessions, "default", "s", 1, 0, 1, on_page, &p);

    session_read_cancel(r);
    session_read_cancel(NULL);
    read_page(0, 1);
    ck_assert(!p.done);
}
END_TEST

/* --- ids --------------------------------------------------------------------------------- */

START_TEST(an_id_is_1_to_256_bytes_of_printable_utf8)
{
    static const struct { const char *id; size_t len; bool good; } cases[] = {
        { "a", 1, true }, { "", 0, false }, { ".", 1, false }, { "..", 2, false },
        { "...", 3, true }, { ".a", 2, true }, { "a\nb", 3, false }, { "a\0b", 3, false },
        { "\xff", 1, false }, { "\xed\xa0\x80", 3, false }, { "\xc2\x85", 2, false },
        { "\x7f", 1, false }, { "\xd8\xb9\xf0\x9f\x98\x80", 6, true }, { "a:b/c d", 7, true },
    };
    char longest[KEYS_SESSION_MAX + 1];
    struct err e = ERR_NONE;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool good = session_id_check(cases[i].id, cases[i].len, &e) == ERR_OK;

        ck_assert_msg(good == cases[i].good, "case %zu", i);
    }
    ck_assert_int_eq(e.code, ERR_INVALID);
    ck_assert_str_eq(e.field, "session_id");
    memset(longest, 'x', sizeof longest);
    ck_assert_int_eq(session_id_check(longest, KEYS_SESSION_MAX, &e), ERR_OK);
    ck_assert_int_eq(session_id_check(longest, KEYS_SESSION_MAX + 1, &e), ERR_INVALID);
}
END_TEST

START_TEST(a_made_id_is_new_or_the_same_for_each_repeat)
{
    char a[33], b[33];

    session_id_make("default", NULL, a);
    session_id_make("default", NULL, b);
    ck_assert_uint_eq(strlen(a), 32);
    ck_assert_str_ne(a, b);
    session_id_make("default", "key", a);
    session_id_make("default", "key", b);
    ck_assert_uint_eq(strlen(a), 32);
    ck_assert_str_eq(a, b);
    session_id_make("default", "other", b);
    ck_assert_str_ne(a, b);
    session_id_make("acme", "key", b);
    ck_assert_str_ne(a, b);
}
END_TEST

static void add_window_tests(TCase *c)
{
    tcase_add_test(c, the_first_turn_of_a_session_finds_nothing);
    tcase_add_test(c, the_next_turns_find_whole_pairs_oldest_first);
    tcase_add_loop_test(c, of_a_long_dialog_the_latest_turns_are_read, 0, 22);
    tcase_add_loop_test(c, the_window_keeps_to_its_bytes_newest_first, 0, 4);
    tcase_add_test(c, a_latest_turn_over_the_budget_is_left_out_with_all_before_it);
    tcase_add_test(c, the_prompt_is_the_sessions);
    tcase_add_test(c, an_entry_that_is_no_turn_is_not_shown_to_the_model);
}

static void add_stored_tests(TCase *c)
{
    tcase_add_test(c, a_saved_turn_is_one_entry_under_its_fence);
    tcase_add_test(c, the_session_has_its_times_its_turns_and_a_place_in_the_index);
    tcase_add_test(c, each_turn_renews_the_life_of_a_session);
    tcase_add_loop_test(c, a_session_lives_for_ever_with_ttl_0_or_while_a_task_is_open, 0, 2);
    tcase_add_loop_test(c, with_a_max_age_no_turn_renews_it, 0, 2);
    tcase_add_test(c, a_ttl_that_is_shorter_than_what_is_left_of_the_age_counts);
    tcase_add_test(c, a_life_that_was_set_just_now_is_left_alone);
    tcase_add_test(c, an_open_task_keeps_a_session_beyond_its_age);
    tcase_add_test(c, what_only_helps_a_running_turn_goes_by_itself);
    tcase_add_test(c, the_lock_outlives_any_turn_though_not_each_one_renews_it);
    tcase_add_loop_test(c, an_id_of_any_bytes_is_a_session_of_its_own, 0,
                        sizeof odd_ids / sizeof odd_ids[0]);
    tcase_add_test(c, another_tenants_session_of_the_same_id_is_another);
    tcase_add_test(c, a_turn_whose_window_is_forgotten_is_small);
    tcase_add_test(c, a_turn_of_a_session_that_is_known_is_twelve_commands);
    tcase_add_test(c, a_turn_costs_the_same_after_10_and_after_10000_turns);
    tcase_add_test(c, a_turn_of_a_deleted_session_is_not_saved);
    tcase_add_test(c, who_waits_for_a_deleted_session_begins_a_new_one_at_once);
    tcase_add_test(c, the_stored_answer_goes_with_the_session);
}

static void add_page_tests(TCase *c)
{
    tcase_add_test(c, a_page_is_a_stretch_of_the_dialog);
    tcase_add_loop_test(c, a_page_of_large_turns_ends_early_but_never_empty, 0, 2);
    tcase_add_test(c, a_session_that_is_not_there_is_told_so);
    tcase_add_test(c, a_cancelled_reading_calls_nobody);
}

int main(void)
{
    Suite *suite = suite_create("session");
    TCase *turns = tcase_create("turns"), *ids = tcase_create("ids");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, turns);
    suite_add_tcase(suite, ids);
    tcase_add_unchecked_fixture(turns, session_case_setup, session_case_teardown);
    tcase_add_checked_fixture(turns, setup, session_teardown);
    tcase_set_timeout(turns, 60);
    add_window_tests(turns);
    add_stored_tests(turns);
    add_page_tests(turns);
    tcase_add_test(ids, an_id_is_1_to_256_bytes_of_printable_utf8);
    tcase_add_test(ids, a_made_id_is_new_or_the_same_for_each_repeat);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
