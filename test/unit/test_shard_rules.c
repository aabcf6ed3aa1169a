/*
 * test_shard_rules.c
 *	  cmocka tests of the names and bounds of shards.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "citus/shard_rules.h"

static void
shard_name_is_a_table_and_an_id(void **state)
{
	static const struct
	{
		const char *name;
		int			length;
		int64_t		id;
	} shards[] = {
		{ "integration_health_status_102008", 25, 102008 },
		{ "x_1", 1, 1 },
		{ "x_999999999999999999", 1, INT64_C(999999999999999999) },
		{ "__7", 1, 7 },
		{ "a_b_2_30", 5, 30 },
		{ "102008_9", 6, 9 },
	};

	(void) state;
	for (size_t i = 0; i < sizeof(shards) / sizeof(shards[0]); i++)
	{
		int		length = -1;
		int64_t id = -1;

		assert_true(ParseShardName(shards[i].name, &length, &id));
		assert_int_equal(length, shards[i].length);
		assert_true(id == shards[i].id);
	}
}

static void
other_names_are_no_shards(void **state)
{
	static const char *const names[] = {
		"",
		"_",
		"integration_health_status",
		"integration_health_status_",
		"_102008",
		"x_0102",
		"x_0",
		"x_1000000000000000000",
		"x102008",
		"x_10a",
		"x_-1",
		"x_+1",
		"x_ 1",
		"x_1 ",
		"x_1_",
		"102008",
		"x_1.0",
		"x_0x10",
		"x_18446744073709551617",
		"x_\xd9\xa1",
	};
	int		length;
	int64_t id;

	(void) state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		assert_false(ParseShardName(names[i], &length, &id));
}

static void
bounds_are_two_hashes(void **state)
{
	ShardBounds bounds;

	(void) state;
	assert_true(ParseShardBounds("-2147483648", "-1610612737", &bounds));
	assert_true(bounds.has_bounds);
	assert_int_equal(bounds.min, INT32_MIN);
	assert_int_equal(bounds.max, -1610612737);
	assert_true(ParseShardBounds("0", "2147483647", &bounds));
	assert_int_equal(bounds.min, 0);
	assert_int_equal(bounds.max, INT32_MAX);
	assert_true(ParseShardBounds("-5", "-5", &bounds));
	assert_int_equal(bounds.min, -5);
	assert_int_equal(bounds.max, -5);
}

static void
reference_table_has_no_bounds(void **state)
{
	ShardBounds none;
	ShardBounds some;

	(void) state;
	assert_true(ParseShardBounds(NULL, NULL, &none));
	assert_false(none.has_bounds);
	assert_true(IsWithinBounds(&none, INT32_MIN));
	assert_true(IsWithinBounds(&none, INT32_MAX));
	assert_true(ParseShardBounds("0", "0", &some));
	assert_false(HasSameBounds(&none, &some));
	assert_false(HasSameBounds(&some, &none));
	assert_true(HasSameBounds(&none, &none));
}

static void
other_bounds_are_refused(void **state)
{
	static const struct
	{
		const char *min;
		const char *max;
	} refused[] = {
		{ NULL, "0" },	{ "0", NULL },			{ "", "0" },
		{ "0", "" },	{ "-2147483649", "0" }, { "0", "2147483648" },
		{ "1", "0" },	{ "0", "-1" },			{ "-", "0" },
		{ "+1", "2" },	{ " 1", "2" },			{ "1", "2 " },
		{ "01", "2" },	{ "-0", "0" },			{ "--1", "0" },
		{ "a", "b" },	{ "1e2", "200" },		{ "0", "99999999999999999999" },
		{ "-01", "0" }, { "0x1", "2" },			{ "-99999999999999999999", "0" },
	};
	ShardBounds bounds;

	(void) state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(ParseShardBounds(refused[i].min, refused[i].max, &bounds));
}

static void
both_bounds_are_within(void **state)
{
	ShardBounds bounds = { .has_bounds = true, .min = -10, .max = 20 };
	ShardBounds other = bounds;

	(void) state;
	assert_true(IsWithinBounds(&bounds, -10));
	assert_true(IsWithinBounds(&bounds, 0));
	assert_true(IsWithinBounds(&bounds, 20));
	assert_false(IsWithinBounds(&bounds, -11));
	assert_false(IsWithinBounds(&bounds, 21));
	assert_false(IsWithinBounds(&bounds, INT32_MIN));
	assert_false(IsWithinBounds(&bounds, INT32_MAX));
	assert_true(HasSameBounds(&bounds, &other));
	other.max = 21;
	assert_false(HasSameBounds(&bounds, &other));
	other.max = 20;
	other.min = -9;
	assert_false(HasSameBounds(&bounds, &other));
}

static void
setting_is_an_oid_or_empty(void **state)
{
	static const char *const refused[] = {
		"0",  "-1", "4294967296", "99999999999999999999",
		"1a", " 1", "01",		  "integration_health_status"
	};
	uint32_t shard = 1;

	(void) state;
	assert_true(ParseShardSetting("", &shard));
	assert_int_equal(shard, 0);
	assert_true(ParseShardSetting("16384", &shard));
	assert_int_equal(shard, 16384);
	assert_true(ParseShardSetting("4294967295", &shard));
	assert_true(shard == UINT32_MAX);
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_false(ParseShardSetting(refused[i], &shard));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shard_name_is_a_table_and_an_id),
		cmocka_unit_test(other_names_are_no_shards),
		cmocka_unit_test(bounds_are_two_hashes),
		cmocka_unit_test(reference_table_has_no_bounds),
		cmocka_unit_test(other_bounds_are_refused),
		cmocka_unit_test(both_bounds_are_within),
		cmocka_unit_test(setting_is_an_oid_or_empty),
	};

	return cmocka_run_group_tests_name("shard rules", tests, NULL, NULL);
}
