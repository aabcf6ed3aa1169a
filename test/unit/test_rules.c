/*
 * test_rules.c
 *	  cmocka tests of the pure rules: slots, streaks, late checks, claim paths and claims.  The
 *	  rules are linked as they are, without a server or symbols of the backend.
 */
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "claims/claim_rules.h"
#include "health/check_rules.h"

static void
slot_is_check_no_modulo_96(void **state)
{
	int seen[HISTORY_SLOTS] = { 0 };

	(void) state;
	assert_int_equal(HistorySlot(1), 1);
	assert_int_equal(HistorySlot(95), 95);
	assert_int_equal(HistorySlot(96), 0);
	assert_int_equal(HistorySlot(97), 1);
	assert_int_equal(HistorySlot(INT64_MAX), INT64_MAX % 96);
	for (int64_t check_no = 1000; check_no < 1000 + HISTORY_SLOTS; check_no++)
		seen[HistorySlot(check_no)]++;
	for (int slot = 0; slot < HISTORY_SLOTS; slot++)
		assert_int_equal(seen[slot], 1);
}

static void
first_check_starts_the_state(void **state)
{
	(void) state;
	for (HealthState status = HEALTH_HEALTHY; status <= HEALTH_UNKNOWN; status++)
	{
		PairState first = FirstCheck(status, 500);

		assert_int_equal(first.status, status);
		assert_int_equal(first.check_no, 1);
		assert_int_equal(first.status_since, 500);
		assert_int_equal(first.consecutive_failures, status == HEALTH_UNHEALTHY ? 1 : 0);
		assert_int_equal(first.ever_healthy, status == HEALTH_HEALTHY);
	}
}

static void
streak_counts_unhealthy_only(void **state)
{
	/* A status, and the number of failures in a row after it. */
	static const struct
	{
		HealthState status;
		int			failures;
	} course[] = {
		{ HEALTH_UNHEALTHY, 1 }, { HEALTH_UNKNOWN, 1 },	  { HEALTH_UNHEALTHY, 2 },
		{ HEALTH_DEGRADED, 0 },	 { HEALTH_UNHEALTHY, 1 }, { HEALTH_HEALTHY, 0 },
		{ HEALTH_UNKNOWN, 0 },
	};
	PairState pair = FirstCheck(HEALTH_HEALTHY, 0);

	(void) state;
	for (size_t i = 0; i < sizeof(course) / sizeof(course[0]); i++)
	{
		pair = NextCheck(&pair, course[i].status, (int64_t) i + 1);
		assert_int_equal(pair.consecutive_failures, course[i].failures);
		assert_int_equal(pair.check_no, i + 2);
	}
	pair.consecutive_failures = INT32_MAX;
	pair = NextCheck(&pair, HEALTH_UNHEALTHY, 100);
	assert_int_equal(pair.consecutive_failures, INT32_MAX);
}

static void
status_since_moves_with_the_status_only(void **state)
{
	PairState pair = FirstCheck(HEALTH_HEALTHY, 10);

	(void) state;
	pair = NextCheck(&pair, HEALTH_HEALTHY, 20);
	assert_int_equal(pair.status_since, 10);
	assert_int_equal(pair.last_healthy_at, 20);
	pair = NextCheck(&pair, HEALTH_UNHEALTHY, 30);
	assert_int_equal(pair.status_since, 30);
	assert_int_equal(pair.last_healthy_at, 20);
	pair = NextCheck(&pair, HEALTH_UNHEALTHY, 40);
	assert_int_equal(pair.status_since, 30);
	assert_int_equal(pair.checked_at, 40);
}

static void
late_check_takes_a_number_and_nothing_else(void **state)
{
	PairState current = FirstCheck(HEALTH_UNHEALTHY, 100);

	(void) state;
	for (HealthState status = HEALTH_HEALTHY; status <= HEALTH_UNKNOWN; status++)
	{
		PairState next = NextCheck(&current, status, 99);

		assert_true(CheckIsLate(&current, 99));
		assert_int_equal(next.check_no, 2);
		assert_int_equal(next.status, HEALTH_UNHEALTHY);
		assert_int_equal(next.checked_at, 100);
		assert_int_equal(next.status_since, 100);
		assert_int_equal(next.consecutive_failures, 1);
		assert_false(next.ever_healthy);
	}
	assert_false(CheckIsLate(&current, 100));
	assert_true(CheckIsLate(&current, INT64_MIN));
	assert_false(CheckIsLate(&current, INT64_MAX));
}

static void
http_status_tells_the_cause(void **state)
{
	static const struct
	{
		int32_t	  http_status;
		HttpCause cause;
	} told[] = { { 400, CAUSE_CONFIGURATION }, { 401, CAUSE_AUTH },
				 { 402, CAUSE_CONFIGURATION }, { 403, CAUSE_AUTH },
				 { 404, CAUSE_CONFIGURATION }, { 407, CAUSE_AUTH },
				 { 428, CAUSE_CONFIGURATION }, { 429, CAUSE_RATE_LIMITED },
				 { 430, CAUSE_CONFIGURATION }, { 499, CAUSE_CONFIGURATION },
				 { 500, CAUSE_SERVER },		   { 599, CAUSE_SERVER } };
	static const int32_t untold[] = { INT32_MIN, 0, 200, 302, 399, 600, INT32_MAX };
	HttpCause			 cause;

	(void) state;
	for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
	{
		assert_true(HttpStatusTells(told[i].http_status, &cause));
		assert_int_equal(cause, told[i].cause);
	}
	for (size_t i = 0; i < sizeof(untold) / sizeof(untold[0]); i++)
		assert_false(HttpStatusTells(untold[i], &cause));
}

static void
day_begins_at_midnight_in_utc(void **state)
{
	const int64_t day = INT64_C(86400) * 1000000;

	(void) state;
	assert_false(BeginsDay(0, 0));
	assert_false(BeginsDay(0, day - 1));
	assert_true(BeginsDay(0, day));
	assert_true(BeginsDay(day - 1, day));
	assert_false(BeginsDay(day, 2 * day - 1));
	assert_true(BeginsDay(0, 3 * day + 5));

	/* before the epoch */
	assert_true(BeginsDay(-1, 0));
	assert_false(BeginsDay(-day, -1));
	assert_true(BeginsDay(-day - 1, -day));

	/* an older check begins none */
	assert_false(BeginsDay(day, day - 1));
	assert_false(BeginsDay(5 * day, 3 * day));
	assert_true(BeginsDay(INT64_MIN, INT64_MAX));
	assert_false(BeginsDay(INT64_MAX, INT64_MIN));
}

static void
claim_paths_are_checked(void **state)
{
	static const char *const good[] = { "org_id", "a.b.c.d", " a , b.c ", "https://x/claims",
										"app_metadata.role, user_role, role" };
	static const char *const bad[] = { "",
									   " ",
									   ",",
									   "a,",
									   "a,,b",
									   ".a",
									   "a.",
									   "a..b",
									   "a b",
									   "a. b",
									   "a.b.c.d.e",
									   "user_metadata",
									   "user_metadata.role",
									   "x, user_metadata.role",
									   "a.user_metadata",
									   "raw_user_meta_data.x" };
	char					 key[CLAIM_KEY_MAX_BYTES + 1];

	(void) state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_null(ClaimPathsProblem(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_non_null(ClaimPathsProblem(bad[i]));

	memset(key, 'k', sizeof(key));
	key[CLAIM_KEY_MAX_BYTES - 1] = '\0';
	assert_null(ClaimPathsProblem(key));
	key[CLAIM_KEY_MAX_BYTES - 1] = 'k';
	key[CLAIM_KEY_MAX_BYTES] = '\0';
	assert_non_null(ClaimPathsProblem(key));
}

static void
claim_paths_are_split(void **state)
{
	const char *paths = " app_metadata.role ,user_role";
	ClaimPath	path;

	(void) state;
	assert_true(NextClaimPath(&paths, &path));
	assert_int_equal(path.nkeys, 2);
	assert_string_equal(path.keys[0], "app_metadata");
	assert_string_equal(path.keys[1], "role");
	assert_true(NextClaimPath(&paths, &path));
	assert_int_equal(path.nkeys, 1);
	assert_string_equal(path.keys[0], "user_role");
	assert_false(NextClaimPath(&paths, &path));
}

/* A mocked token: finds what expect_claim() says about a path, identified by its last key. */
static bool
MockedLookup(void *document, const ClaimPath *path, ClaimValues *found)
{
	(void) document;
	check_expected_ptr(path->keys[path->nkeys - 1]);
	found->nvalues = mock_type(int);
	found->values = mock_type(const char **);
	return found->nvalues >= 0;
}

static void
expect_claim(const char *key, int nvalues, const char **values)
{
	expect_string(MockedLookup, path->keys[path->nkeys - 1], key);
	will_return(MockedLookup, nvalues);
	will_return(MockedLookup, values);
}

static void
role_is_found_in_a_string_or_an_array(void **state)
{
	const char *one[] = { "global_admin" };
	const char *many[] = { "editor", "global_admin", "viewer" };

	(void) state;
	expect_claim("role", 1, one);
	assert_true(
		AnyClaimNames("app_metadata.role, user_role", MockedLookup, NULL, "global_admin"));
	expect_claim("role", 3, many);
	assert_true(
		AnyClaimNames("app_metadata.role, user_role", MockedLookup, NULL, "global_admin"));
	expect_claim("role", -1, NULL);
	expect_claim("user_role", 1, one);
	assert_true(
		AnyClaimNames("app_metadata.role, user_role", MockedLookup, NULL, "global_admin"));
}

static void
role_is_not_granted_by_anything_alike(void **state)
{
	const char *alike[] = { "GLOBAL_ADMIN", "global_admin ", " global_admin",
							"global_admi",	"global_admins", "",
							"authenticated" };

	(void) state;
	expect_claim("role", 7, alike);
	assert_false(AnyClaimNames("role", MockedLookup, NULL, "global_admin"));
	expect_claim("role", 0, alike);
	assert_false(AnyClaimNames("role", MockedLookup, NULL, "global_admin"));
	expect_claim("a", -1, NULL);
	expect_claim("b", -1, NULL);
	assert_false(AnyClaimNames("a, b", MockedLookup, NULL, "global_admin"));
}

static void
org_is_the_first_claim_that_is_there(void **state)
{
	const char *org[] = { "one" };
	ClaimValues found;

	(void) state;
	expect_claim("a", 1, org);
	assert_true(FirstClaim("a, b", MockedLookup, NULL, &found));
	assert_int_equal(found.nvalues, 1);
	/* An empty array is a claim: it names nobody, and no other path is tried. */
	expect_claim("a", 0, org);
	assert_true(FirstClaim("a, b", MockedLookup, NULL, &found));
	assert_int_equal(found.nvalues, 0);
	expect_claim("a", -1, NULL);
	expect_claim("b", 1, org);
	assert_true(FirstClaim("a, b", MockedLookup, NULL, &found));
	expect_claim("a", -1, NULL);
	expect_claim("b", -1, NULL);
	assert_false(FirstClaim("a, b", MockedLookup, NULL, &found));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(slot_is_check_no_modulo_96),
		cmocka_unit_test(first_check_starts_the_state),
		cmocka_unit_test(streak_counts_unhealthy_only),
		cmocka_unit_test(status_since_moves_with_the_status_only),
		cmocka_unit_test(late_check_takes_a_number_and_nothing_else),
		cmocka_unit_test(day_begins_at_midnight_in_utc),
		cmocka_unit_test(http_status_tells_the_cause),
		cmocka_unit_test(claim_paths_are_checked),
		cmocka_unit_test(claim_paths_are_split),
		cmocka_unit_test(role_is_found_in_a_string_or_an_array),
		cmocka_unit_test(role_is_not_granted_by_anything_alike),
		cmocka_unit_test(org_is_the_first_claim_that_is_there),
	};

	return cmocka_run_group_tests_name("rules", tests, NULL, NULL);
}
