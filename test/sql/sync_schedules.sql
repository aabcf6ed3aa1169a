-- The periods of a schedule: elapsed time, or the clocks of a time zone, through both changes of them.
\i test/fixtures/preamble.sql
SET ROLE service_role;
SELECT every, anchor, time_zone, enabled, warm_up_url, planned_since >= now() AS stamped, due_at > now() AND due_at <= now() + interval '25 hours' AS due, warm_up_for = due_at AS warm
  FROM set_sync_schedule(:'org_a', 'xledger', '1 day', '2026-01-01 02:30+01', 'Europe/Oslo');
SELECT every, anchor, time_zone, enabled, warm_up_url FROM set_sync_schedule(:'org_a', 'xledger', '15 minutes', '2026-01-01', enabled => false, warm_up_url => 'https://example.com/warm');
SELECT t.error(format('SELECT set_sync_schedule(%L, %L, %s)', :'org_a', 'dynamics', v)) AS error FROM unnest(ARRAY[
  $$'59 seconds', 'epoch'$$, $$'0', 'epoch'$$, $$'-1 day', 'epoch'$$, $$'1 day 1 hour', 'epoch'$$, $$'1 month -30 days', 'epoch'$$, $$'121 months', 'epoch'$$, $$'100000 hours', 'epoch'$$,
  $$'1 day', 'infinity'$$, $$'1 day', NULL$$, $$NULL, 'epoch'$$, $$'1 day', 'epoch', 'Europe/Nowhere'$$, $$'1 day', 'epoch', 'europe/oslo'$$, $$'1 day', 'epoch', 'Europe/Oslo2'$$, $$'1 day', 'epoch', ''$$,
  $$'1 day', 'epoch', warm_up_url => 'ftp://x'$$, $$'1 day', 'epoch', warm_up_url => 'http://a b'$$, $$'1 day', 'epoch', warm_up_url => 'http://' || repeat('x', 2000)$$]) AS v;
SELECT t.error(format('SELECT set_sync_schedule(%L, %L, %L, %L)', :'org_a', 'telepathy', '1 day', 'epoch'));
-- a plan that changes applies from now; other changes leave its times alone
UPDATE integration_sync_schedules SET warm_up_url = NULL;
RESET ROLE;
UPDATE integration_sync_schedules SET planned_since = '2026-01-01', due_at = '2026-01-02', warm_up_for = '2026-01-03';
SET ROLE service_role;
UPDATE integration_sync_schedules SET warm_up_url = 'http://example.com';
SELECT planned_since, due_at, warm_up_for FROM integration_sync_schedules;
UPDATE integration_sync_schedules SET every = '24 hours';
UPDATE integration_sync_schedules SET every = '1 day';
SELECT planned_since > now() - interval '1 minute' AS stamped, due_at > now() AS due, warm_up_for > now() AS warm FROM integration_sync_schedules;
SELECT t.error(format('UPDATE integration_sync_schedules SET %s = now()', c)) FROM unnest('{planned_since,due_at,warm_up_for,pruned_until}'::text[]) AS c;
-- the anchor itself is the first period, also when it is still far away
SELECT due_at FROM set_sync_schedule(:'org_b', 'xledger', '1 month', '2999-12-31');
-- daily at 02:30 in Oslo: clocks are put forward at 02:00 on March 29, and back at 03:00 on October 25
SET timezone = 'Europe/Oslo';
SELECT p FROM integration_sync_periods('1 day', '2026-01-01 02:30', 'Europe/Oslo', '2026-03-27', '2026-03-31') AS p;
SELECT p, p AT TIME ZONE 'UTC' AS utc FROM integration_sync_periods('1 day', '2026-01-01 02:30', 'Europe/Oslo', '2026-10-23', '2026-10-27') AS p;
-- 24 hours are 24 hours
SELECT p FROM integration_sync_periods('24 hours', '2026-01-01 02:30', 'Europe/Oslo', '2026-03-28', '2026-03-31') AS p;
-- the clocks are those of the schedule, not of the session
SET timezone = 'America/New_York';
SELECT array_agg(p AT TIME ZONE 'Europe/Oslo') FROM integration_sync_periods('1 day', '2026-01-01 02:30 Europe/Oslo', 'Europe/Oslo', '2026-03-28', '2026-03-31') AS p;
SET timezone = 'UTC';
-- the ends of months, leap days, years
SELECT p::date FROM integration_sync_periods('1 month', '2024-01-31', 'UTC', '2024-01-01', '2024-06-01') AS p;
SELECT p::date FROM integration_sync_periods('1 year', '2024-02-29', 'UTC', '2024-01-01', '2028-12-01') AS p;
SELECT p::date FROM integration_sync_periods('1 month 14 days', '2025-12-31', 'UTC', '2025-01-01', '2026-06-01') AS p;
-- a day that a time zone skipped
SELECT p AT TIME ZONE 'Pacific/Apia' AS apia FROM integration_sync_periods('1 day', '2011-12-01 08:00 Pacific/Apia', 'Pacific/Apia', '2011-12-29', '2012-01-01') AS p;
-- both ends are included; before the anchor there is nothing
SELECT count(*) FROM integration_sync_periods('1 hour', '2026-01-01', 'UTC', '2026-01-01', '2026-01-02');
SELECT count(*) FROM integration_sync_periods('1 hour', '2026-01-01', 'UTC', '-infinity', '2025-12-31 23:59');
SELECT integration_sync_last_period('1 hour', '2026-01-01', 'UTC', '2026-01-01 05:59:59'), integration_sync_last_period('1 hour', '2026-01-01', 'UTC', '2025-01-01') AS none,
       integration_sync_next_period('1 hour', '2026-01-01', 'UTC', '2026-01-01 05:00'), integration_sync_next_period('1 hour', '2026-01-01', 'UTC', '2025-01-01') AS first;
SELECT t.error(q) FROM unnest(ARRAY[$$SELECT integration_sync_periods('1 minute', '2000-01-01', 'UTC', '-infinity', 'infinity')$$,
  $$SELECT integration_sync_periods('1 second', '2000-01-01', 'UTC', '-infinity', 'now')$$, $$SELECT integration_sync_last_period('1 hour', '2000-01-01', 'Mars', 'now')$$,
  $$SELECT integration_sync_next_period('1 hour', 'infinity', 'UTC', 'now')$$]) AS q;
-- the last period not after a period is that period itself
SELECT every, count(*), bool_and(p = integration_sync_last_period(every, '2023-10-31 02:30+01', 'Europe/Oslo', p)) AS last, bool_and(p > lag) AS ascending
  FROM unnest('{1 day,1 mon,7 days,"1 mon 1 day",00:17:00,36:00:00}'::interval[]) AS every,
  LATERAL (SELECT p, lag(p, 1, '-infinity') OVER () AS lag FROM integration_sync_periods(every, '2023-10-31 02:30+01', 'Europe/Oslo', '-infinity', '2026-02-01') AS p) AS x GROUP BY 1 ORDER BY 1;
-- a reader may ask, too
SET ROLE authenticated;
SELECT integration_sync_key('00000000-0000-0000-0000-00000000000a', 'xledger', '2026-01-05 12:00:00.5Z'), integration_sync_is_late('1 hour'),
  integration_sync_last_period('1 day', '2026-01-01Z', 'UTC', '2026-01-05 12:00Z') = '2026-01-05Z' AS last, integration_sync_next_period('1 day', '2026-01-01Z', 'UTC', '2026-01-05 12:00Z') = '2026-01-06Z' AS next,
  (SELECT count(*) FROM integration_sync_periods('1 day', '2026-01-01Z', 'UTC', '2026-01-05Z', '2026-01-07Z')) AS periods;
RESET ROLE;
