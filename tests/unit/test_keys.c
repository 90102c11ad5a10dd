/* The names of keys. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "lib/chat/keys.h"

static struct key session_key(const char *id, const char *kind)
{
    return key_session("default", id, strlen(id), kind);
}

START_TEST(the_names_are_the_documented_ones)
{
    ck_assert_str_eq(session_key("abc", "").s, "c1:{default}:s:3:abc");
    ck_assert_str_eq(session_key("abc", "msgs").s, "c1:{default}:s:3:abc:msgs");
    ck_assert_str_eq(session_key("abc", "lock").s, "c1:{default}:s:3:abc:lock");
    ck_assert_str_eq(session_key("abc", "wait").s, "c1:{default}:s:3:abc:wait");
    ck_assert_str_eq(key_sessions_index("acme").s, "c1:{acme}:idx:sessions");
    ck_assert_str_eq(session_key("abc", "kept:msgs").s, "c1:{default}:s:3:abc:kept:msgs");
    ck_assert_str_eq(key_user_index("acme", "Ada", 3).s, "c1:{acme}:idx:user:Ada");
    ck_assert_str_eq(key_idempotency("acme", "00ff").s, "c1:{acme}:idem:00ff");
    ck_assert_str_eq(key_task("t1").s, "c1:task:t1");
    ck_assert_str_eq(key_wake("ab12").s, "c1:wake:ab12");
}
END_TEST

START_TEST(no_session_id_can_spell_a_key_of_another)
{
    const char *ids[] = { "a", "a:msgs", "1:a", "a:lock", "6:a:msgs", ":", "::", "3:a", "a:wait" };
    const char *kinds[] = { "", "msgs", "lock", "wait", "kept", "kept:msgs" };
    char seen[9 * 6][KEYS_SIZE];
    size_t n = 0;

    for (size_t i = 0; i < 9; i++)
        for (size_t k = 0; k < 6; k++, n++) {
            strcpy(seen[n], session_key(ids[i], kinds[k]).s);
            for (size_t j = 0; j < n; j++)
                ck_assert_str_ne(seen[j], seen[n]);
        }
}
END_TEST

START_TEST(the_same_id_of_two_tenants_is_two_keys)
{
    ck_assert_str_ne(key_session("a", "x", 1, "").s, key_session("b", "x", 1, "").s);
    ck_assert_str_ne(key_idempotency("a", "00").s, key_idempotency("b", "00").s);
}
END_TEST

START_TEST(an_id_may_hold_any_byte)
{
    const char id[] = { 'a', '\0', ' ', '\n', ':', '\xff', '{', '}' };
    struct key k = key_session("default", id, sizeof id, "msgs");
    const char *head = "c1:{default}:s:8:";

    ck_assert_uint_eq(k.len, strlen(head) + sizeof id + strlen(":msgs"));
    ck_assert_mem_eq(k.s, head, strlen(head));
    ck_assert_mem_eq(k.s + strlen(head), id, sizeof id);
    ck_assert_str_eq(k.s + strlen(head) + sizeof id, ":msgs");
    ck_assert_uint_eq(key_arg(&k).len, k.len);
}
END_TEST

START_TEST(the_longest_parts_fit)
{
    char tenant[KEYS_TENANT_MAX + 1], id[KEYS_SESSION_MAX + 1], task[KEYS_TASK_MAX + 1];
    struct key k;

    memset(tenant, 't', sizeof tenant);
    memset(id, 'i', sizeof id);
    memset(task, 'k', sizeof task);
    tenant[KEYS_TENANT_MAX] = id[KEYS_SESSION_MAX] = task[KEYS_TASK_MAX] = '\0';
    k = key_session(tenant, id, KEYS_SESSION_MAX, "msgs");
    ck_assert_uint_eq(strlen(k.s), k.len);
    ck_assert_str_eq(k.s + k.len - 6, "i:msgs");
    ck_assert_uint_eq(key_task(task).len, strlen("c1:task:") + KEYS_TASK_MAX);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("keys");
    TCase *names = tcase_create("names");
    SRunner *runner = srunner_create(suite);
    int failed;

    suite_add_tcase(suite, names);
    tcase_add_test(names, the_names_are_the_documented_ones);
    tcase_add_test(names, no_session_id_can_spell_a_key_of_another);
    tcase_add_test(names, the_same_id_of_two_tenants_is_two_keys);
    tcase_add_test(names, an_id_may_hold_any_byte);
    tcase_add_test(names, the_longest_parts_fit);
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
