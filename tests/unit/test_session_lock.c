/* One turn of a session at a time: who gets the lock, in which order, and what becomes of it
 * when its owner is stuck or dead. Leases are long unless a test is about their end, so who
 * begins "now" was woken. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/chat/session_turn.h"
#include "tests/unit/session_support.h"

#define HASH "c1:{default}:s:1:s"

enum { SHORT_LEASE_MS = 300, SLACK_MS = 3000 };     /* a busy machine stops for a while */

static struct child *a, *b;

static void setup(void)
{
    session_setup();
    a = child_new();
    b = child_new();
}

static struct user *holder_of(struct child *c)
{
    struct user *u = user_begin(c, "s");

    user_until_begun_now(u);
    return u;
}

/* Queued as the how-manieth. */
static struct user *waiter_of(struct child *c, int place)
{
    struct user *u = user_begin(c, "s");

    until_queue_has("s", place);
    ck_assert(!u->answered);
    return u;
}

static void save_now(struct user *u)
{
    user_save(u, "q", "a");
    user_until_saved(u);
    ck_assert_int_eq(u->failed, ERR_OK);
}

/* --- order ------------------------------------------------------------------------------- */

START_TEST(the_second_waits_for_the_first_and_finds_its_turn)
{
    struct user *first = holder_of(a), *second = waiter_of(_i ? b : a, 1);

    save_now(first);
    user_until_begun_now(second);
    ck_assert_int_eq(second->number, 2);
    ck_assert_uint_eq(second->window_count, 1);
    save_now(second);
    expect("2", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(twenty_waiters_of_two_children_go_first_come_first_served)
{
    struct user *holder = holder_of(a), *waiters[20];

    for (int i = 0; i < 20; i++)
        waiters[i] = waiter_of(i % 3 ? a : b, i + 1);
    for (int i = 0; i < 20; i++) {
        save_now(holder);
        holder = waiters[i];
        user_until_begun_now(holder);
        ck_assert_int_eq(holder->place, i + 2);
        for (int j = i + 1; j < 20; j++)
            ck_assert(!waiters[j]->answered);
    }
    save_now(holder);
    expect("21", "LLEN " HASH ":msgs");
    expect("0", "EXISTS " HASH ":wait");
    expect("0", "HEXISTS " HASH ":lock ticket");    /* from now on nobody is looked for */
}
END_TEST

static struct user *racers[40];

static int holders(void)
{
    int n = 0;

    for (int i = 0; i < 40; i++)
        n += racers[i]->begun && racers[i]->turn && !racers[i]->saved;
    return n;
}

/* Whoever has begun saves; true when all have saved. */
static bool race_is_over(void *arg)
{
    int saved = 0;

    (void)arg;
    ck_assert_int_le(holders(), 1);
    for (int i = 0; i < 40; i++) {
        struct user *u = racers[i];

        ck_assert_int_eq(u->failed, ERR_OK);
        saved += u->saved;
        if (u->begun && u->turn && !u->retry_after) {
            u->retry_after = 1;     /* is saving */
            user_save(u, "q", "a");
        }
    }
    return saved == 40;
}

START_TEST(of_many_at_once_on_two_children_one_runs_at_a_time)
{
    for (int i = 0; i < 40; i++)
        racers[i] = user_begin(i % 2 ? a : b, "s");
    support_until_true(loop, race_is_over, NULL);
    expect("40", "LLEN " HASH ":msgs");
    expect("40", "HGET " HASH " turns");
}
END_TEST

START_TEST(who_comes_later_does_not_pass_who_waits)
{
    struct user *first = holder_of(a), *second = waiter_of(b, 1), *third;

    /* Free, but the one who is next has not looked yet: its wake-up is on its way. */
    free(support_redis_ask(redis_server, "HSET " HASH ":lock until 0"));
    third = user_begin(a, "s");
    user_until_begun_now(second);
    ck_assert(!third->answered);
    save_now(second);
    user_until_begun_now(third);
    user_drop(first);
}
END_TEST

START_TEST(other_sessions_do_not_wait)
{
    struct user *u;

    holder_of(a);
    u = user_begin(a, "t");
    user_until_begun_now(u);
    u = user_begin(b, "u");
    user_until_begun_now(u);
}
END_TEST

START_TEST(who_is_not_woken_looks_by_itself)
{
    struct child *deaf = child_new_deaf();
    struct user *first, *second;

    settings.session.lease = 2 * SHORT_LEASE_MS;
    first = holder_of(a);
    second = waiter_of(deaf, 1);
    save_now(first);
    user_until_begun_now(second);
}
END_TEST

static bool has_looked_twice(void *arg)
{
    char *stats = support_redis_ask(redis_server, "INFO commandstats");
    bool has = strstr(stats, "cmdstat_evalsha:calls=2,");

    (void)arg;
    free(stats);
    return has;
}

/* The message and the answer come over two connections, in any order. */
START_TEST(who_is_woken_before_the_answer_to_its_look_looks_again)
{
    struct user *second;

    holder_of(a);
    free(support_redis_ask(redis_server, "CONFIG RESETSTAT"));
    second = user_begin(b, "s");
    session_turn_wake(second->turn);
    session_turn_wake(second->turn);
    support_until_true(loop, has_looked_twice, NULL);
    ck_assert(!second->answered);
}
END_TEST

/* --- giving up --------------------------------------------------------------------------- */

START_TEST(a_dropped_holder_lets_the_next_one_in_and_stores_nothing)
{
    struct user *first = holder_of(a), *second = waiter_of(b, 1);

    user_drop(first);
    user_until_begun_now(second);
    ck_assert_int_eq(second->number, 1);
    expect("0", "EXISTS " HASH " " HASH ":msgs");
}
END_TEST

START_TEST(a_dropped_waiter_leaves_the_queue)
{
    struct user *first = holder_of(a), *second = waiter_of(b, 1), *third = waiter_of(a, 2);

    user_drop(second);
    until_queue_has("s", 1);
    save_now(first);
    user_until_begun_now(third);
    ck_assert(!second->answered);
}
END_TEST

START_TEST(a_waiter_dropped_just_when_it_is_its_turn_passes_it_on)
{
    struct user *first = holder_of(a), *second = waiter_of(b, 1), *third = waiter_of(a, 2);

    user_save(first, "q", "a");
    user_drop(second);
    user_until_begun_now(third);
    ck_assert(!second->answered);
}
END_TEST

START_TEST(a_turn_dropped_while_its_grant_is_on_its_way_gives_it_back)
{
    struct user *first = user_begin(a, "s"), *second;

    user_drop(first);
    second = user_begin(a, "s");
    user_until_begun_now(second);
    ck_assert(!first->answered);
}
END_TEST

START_TEST(a_drop_while_saving_lets_the_save_go_on)
{
    struct user *first = holder_of(a), *second = waiter_of(b, 1);

    user_save(first, "q", "a");
    user_drop(first);
    user_until_begun_now(second);
    ck_assert(!first->saved);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(a_wait_ends_with_locked_and_leaves_the_queue)
{
    struct user *first = holder_of(a), *second;

    settings.session.wait = SHORT_LEASE_MS;
    second = waiter_of(b, 1);
    user_until_answered(second);
    ck_assert_int_eq(second->failed, ERR_LOCKED);
    ck_assert_int_ge(second->retry_after, 10);
    ck_assert_int_le(second->retry_after, 15);
    until_queue_has("s", 0);
    save_now(first);
}
END_TEST

START_TEST(with_reject_the_second_is_told_at_once_when_to_come_again)
{
    struct user *first = holder_of(a), *second;

    settings.session.busy = SESSION_BUSY_REJECT;
    second = user_begin(b, "s");
    user_until_answered(second);
    ck_assert_int_eq(second->failed, ERR_LOCKED);
    ck_assert_int_ge(second->retry_after, 10);
    ck_assert_int_le(second->retry_after, 15);
    expect("0", "EXISTS " HASH ":wait");
    save_now(first);
    holder_of(b);
}
END_TEST

START_TEST(the_time_to_come_again_is_a_second_at_least)
{
    struct user *second;

    settings.session.lease = SHORT_LEASE_MS;
    settings.session.busy = SESSION_BUSY_REJECT;
    holder_of(a);
    second = user_begin(b, "s");
    user_until_answered(second);
    ck_assert_int_eq(second->retry_after, 1);
}
END_TEST

/* --- the stuck and the dead -------------------------------------------------------------- */

START_TEST(a_turn_longer_than_its_lease_keeps_the_lock)
{
    struct user *first, *second;

    settings.session.lease = 3 * SHORT_LEASE_MS;
    first = holder_of(a);
    second = waiter_of(b, 1);
    support_turn(loop, 7 * SHORT_LEASE_MS);
    ck_assert(!second->answered);
    save_now(first);
    user_until_begun_now(second);
}
END_TEST

START_TEST(a_dead_owner_holds_the_lock_for_its_lease_and_no_longer)
{
    int64_t died;
    struct user *second;

    settings.session.lease = 2 * SHORT_LEASE_MS;
    holder_of(a);
    second = waiter_of(b, 1);
    died = clock_ms();
    child_kill(a);
    user_until_begun_now(second);
    ck_assert_int_lt(clock_ms() - died, settings.session.lease + SLACK_MS);
    ck_assert_int_eq(second->number, 1);
    expect("0", "EXISTS " HASH " " HASH ":msgs");
}
END_TEST

START_TEST(a_dead_waiter_holds_nobody_up_for_longer_than_a_lease)
{
    int64_t saved;
    struct user *first, *third;

    settings.session.lease = 2 * SHORT_LEASE_MS;
    first = holder_of(a);
    waiter_of(b, 1);
    third = waiter_of(a, 2);
    child_kill(b);
    saved = clock_ms();
    save_now(first);
    user_until_begun_now(third);
    ck_assert_int_lt(clock_ms() - saved, settings.session.lease + SLACK_MS);
}
END_TEST

/* As if Redis's clock had been an hour ahead when this was written. */
static void set_clock_back(const char *field)
{
    free(support_redis_ask(redis_server, "HINCRBY " HASH ":lock %s 3600000", field));
}

START_TEST(a_dead_owners_lease_is_no_longer_when_the_clock_was_set_back)
{
    struct user *second;
    int64_t began;

    settings.session.lease = 2 * SHORT_LEASE_MS;
    holder_of(a);
    child_kill(a);
    set_clock_back("until");
    began = clock_ms();
    second = user_begin(b, "s");
    user_until_begun_now(second);
    ck_assert_int_lt(clock_ms() - began, settings.session.lease + SLACK_MS);
}
END_TEST

START_TEST(nor_is_a_dead_waiters_place)
{
    struct user *first, *third;
    char *waiter, field[200];
    int64_t began;

    settings.session.lease = 2 * SHORT_LEASE_MS;
    first = holder_of(a);
    waiter_of(b, 1);
    child_kill(b);
    waiter = support_redis_ask(redis_server, "ZRANGE " HASH ":wait 0 0");
    snprintf(field, sizeof(field), "w:%.*s", (int)strcspn(waiter, "\n"), waiter);
    free(waiter);
    set_clock_back(field);
    third = waiter_of(a, 2);
    began = clock_ms();
    save_now(first);
    user_until_begun_now(third);
    ck_assert_int_lt(clock_ms() - began, settings.session.lease + SLACK_MS);
}
END_TEST

/* --- one question that comes twice, as over a connection that was lost -------------------- */

static struct { char word[16]; int64_t fence; } said;

static void on_said(void *arg, const struct redisReply *reply, const struct err *e)
{
    (void)arg;
    ck_assert_ptr_null(e);
    snprintf(said.word, sizeof said.word, "%s", redis_reply_text(redis_reply_at(reply, 0)).s);
    said.fence = redis_reply_int(redis_reply_at(reply, 1));
}

static bool is_said(void *arg)
{
    (void)arg;
    return said.word[0] != '\0';
}

static void ask_again(struct session_turn *t)
{
    said.word[0] = '\0';
    ck_assert_ptr_nonnull(session_call_begin(t, 1000, on_said));
    support_until_true(loop, is_said, NULL);
}

START_TEST(a_holder_that_asks_again_gets_the_same_grant)
{
    struct user *first = holder_of(a), *second = waiter_of(b, 1);
    int64_t fence = first->turn->fence;

    ask_again(first->turn);
    ck_assert_str_eq(said.word, "begun");
    ck_assert_int_eq(said.fence, fence);
    ck_assert(!second->answered);
    save_now(first);
    user_until_begun_now(second);
    ck_assert_int_eq(second->number, 2);
}
END_TEST

START_TEST(a_waiter_that_asks_again_keeps_its_place)
{
    struct user *first = holder_of(a), *second = waiter_of(a, 1), *third = waiter_of(b, 2);

    ask_again(second->turn);
    ck_assert_str_eq(said.word, "wait");
    save_now(first);
    user_until_begun_now(second);
    save_now(second);
    user_until_begun_now(third);
}
END_TEST

/* Else a late question would hold the session for a lease, for nobody. */
START_TEST(who_gave_the_lock_up_is_not_granted_it_again)
{
    struct user *first = holder_of(a);
    struct session_turn late = { .sessions = first->turn->sessions, .ticket = first->turn->ticket,
                                 .id = "s", .id_len = 1, .idem = "", .says = "" };
    struct session_turn *question = calloc(1, sizeof late + 16);

    *question = late;
    strcpy(question->text, "default");
    save_now(first);
    ask_again(question);
    ck_assert_str_eq(said.word, "busy");
    expect("0", "HGET " HASH ":lock until");
    free(question);
    holder_of(b);
}
END_TEST

/* --- leases that ended ------------------------------------------------------------------------ */

/* What a stopped process finds when it goes on: its lease has ended. */
static void end_lease(void)
{
    free(support_redis_ask(redis_server, "HSET " HASH ":lock until 1"));
}

START_TEST(a_stalled_owner_is_refused_once_another_has_begun)
{
    struct user *first = holder_of(a), *second;

    end_lease();
    second = holder_of(b);
    user_save(first, "late", "late");
    user_until_saved(first);
    ck_assert_int_eq(first->failed, ERR_NOT_SAVED);
    expect("0", "EXISTS " HASH ":msgs");
    save_now(second);               /* the late one has not given the other's lock away */
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

START_TEST(a_stalled_owner_that_gives_up_does_not_free_anothers_lock)
{
    struct user *first = holder_of(a), *third;

    end_lease();
    holder_of(b);
    user_drop(first);
    third = waiter_of(a, 1);
    ck_assert(!third->answered);
}
END_TEST

START_TEST(a_stalled_owner_renews_no_lock_that_is_not_its_own)
{
    struct user *second, *third;

    settings.session.lease = 3 * SHORT_LEASE_MS;
    holder_of(a);
    end_lease();
    second = holder_of(b);
    user_drop(second);
    support_turn(loop, 2 * SHORT_LEASE_MS);     /* in which the first one tries */
    third = user_begin(b, "s");
    user_until_begun_now(third);
}
END_TEST

START_TEST(a_stalled_owner_may_save_as_long_as_nobody_has_begun)
{
    struct user *first = holder_of(a);

    end_lease();
    save_now(first);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

static void forget_lock(void)
{
    free(support_redis_ask(redis_server, "DEL " HASH ":lock"));
}

START_TEST(a_turn_whose_lock_is_forgotten_is_saved_as_long_as_nobody_has_begun)
{
    struct user *first = holder_of(a);

    forget_lock();
    save_now(first);
    ck_assert_int_eq(holder_of(b)->number, 2);
}
END_TEST

/* The second one is at its turn yet, or its turn is stored, and its lock forgotten again. */
START_TEST(a_turn_whose_lock_is_forgotten_is_lost_once_another_has_begun)
{
    struct user *first = holder_of(a), *second;

    forget_lock();
    second = holder_of(b);
    if (_i) {
        save_now(second);
        forget_lock();
    }
    user_save(first, "late", "late");
    user_until_saved(first);
    ck_assert_int_eq(first->failed, ERR_NOT_SAVED);
    if (!_i)
        save_now(second);
    expect("1", "LLEN " HASH ":msgs");
}
END_TEST

static bool lock_is_back(void *arg)
{
    char *exists = support_redis_ask(redis_server, "EXISTS " HASH ":lock");
    bool is_back = strcmp(exists, "1") == 0;

    (void)arg;
    free(exists);
    return is_back;
}

START_TEST(a_lock_that_is_forgotten_is_taken_again_by_its_holder)
{
    struct user *first, *second;

    settings.session.lease = _i ? 10 * 60 * 1000 : 3 * SHORT_LEASE_MS;
    first = holder_of(a);
    forget_lock();
    if (_i)     /* as when Redis was away: it does not wait for the next renewal */
        free(support_redis_ask(redis_server, "CLIENT KILL TYPE pubsub"));
    support_until_true(loop, lock_is_back, NULL);
    second = waiter_of(b, 1);
    save_now(first);
    user_until_begun_now(second);
    ck_assert_int_eq(second->number, 2);
}
END_TEST

START_TEST(every_grant_has_a_larger_fence_also_after_the_lock_was_forgotten)
{
    int64_t fences[4];

    for (int i = 0; i < 4; i++) {
        struct user *u = holder_of(a);
        char *fence = support_redis_ask(redis_server, "HGET " HASH ":lock fence");

        fences[i] = strtoll(fence, NULL, 10);
        free(fence);
        ck_assert(i == 0 || fences[i] > fences[i - 1]);
        if (i == 1)
            forget_lock();
        user_drop(u);
    }
}
END_TEST

static void add_order_tests(TCase *c)
{
    tcase_add_loop_test(c, the_second_waits_for_the_first_and_finds_its_turn, 0, 2);
    tcase_add_test(c, twenty_waiters_of_two_children_go_first_come_first_served);
    tcase_add_test(c, of_many_at_once_on_two_children_one_runs_at_a_time);
    tcase_add_test(c, who_comes_later_does_not_pass_who_waits);
    tcase_add_test(c, other_sessions_do_not_wait);
    tcase_add_test(c, who_is_not_woken_looks_by_itself);
    tcase_add_test(c, who_is_woken_before_the_answer_to_its_look_looks_again);
}

static void add_giving_up_tests(TCase *c)
{
    tcase_add_test(c, a_dropped_holder_lets_the_next_one_in_and_stores_nothing);
    tcase_add_test(c, a_dropped_waiter_leaves_the_queue);
    tcase_add_test(c, a_waiter_dropped_just_when_it_is_its_turn_passes_it_on);
    tcase_add_test(c, a_turn_dropped_while_its_grant_is_on_its_way_gives_it_back);
    tcase_add_test(c, a_drop_while_saving_lets_the_save_go_on);
    tcase_add_test(c, a_wait_ends_with_locked_and_leaves_the_queue);
    tcase_add_test(c, with_reject_the_second_is_told_at_once_when_to_come_again);
    tcase_add_test(c, the_time_to_come_again_is_a_second_at_least);
}

static void add_stuck_tests(TCase *c)
{
    tcase_add_test(c, a_turn_longer_than_its_lease_keeps_the_lock);
    tcase_add_test(c, a_dead_owner_holds_the_lock_for_its_lease_and_no_longer);
    tcase_add_test(c, a_dead_waiter_holds_nobody_up_for_longer_than_a_lease);
    tcase_add_test(c, a_dead_owners_lease_is_no_longer_when_the_clock_was_set_back);
    tcase_add_test(c, nor_is_a_dead_waiters_place);
    tcase_add_test(c, a_holder_that_asks_again_gets_the_same_grant);
    tcase_add_test(c, a_waiter_that_asks_again_keeps_its_place);
    tcase_add_test(c, who_gave_the_lock_up_is_not_granted_it_again);
    tcase_add_test(c, a_stalled_owner_is_refused_once_another_has_begun);
    tcase_add_test(c, a_stalled_owner_that_gives_up_does_not_free_anothers_lock);
    tcase_add_test(c, a_stalled_owner_renews_no_lock_that_is_not_its_own);
    tcase_add_test(c, a_stalled_owner_may_save_as_long_as_nobody_has_begun);
    tcase_add_test(c, a_turn_whose_lock_is_forgotten_is_saved_as_long_as_nobody_has_begun);
    tcase_add_loop_test(c, a_turn_whose_lock_is_forgotten_is_lost_once_another_has_begun, 0, 2);
    tcase_add_loop_test(c, a_lock_that_is_forgotten_is_taken_again_by_its_holder, 0, 2);
    tcase_add_test(c, every_grant_has_a_larger_fence_also_after_the_lock_was_forgotten);
}

int main(void)
{
    Suite *suite = suite_create("session_lock");
    TCase *lock = tcase_create("lock");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, lock);
    tcase_add_unchecked_fixture(lock, session_case_setup, session_case_teardown);
    tcase_add_checked_fixture(lock, setup, session_teardown);
    tcase_set_timeout(lock, 60);
    add_order_tests(lock);
    add_giving_up_tests(lock);
    add_stuck_tests(lock);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
