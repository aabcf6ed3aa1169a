-- The rules of the ledger, called as the owner: who may claim a run, when it is tried again, what a period is called.
-- a lease is over when its end has passed, or is more than a day ahead, because the clock was ahead
SELECT integration_health_private.utc_text(moment) AS moment, integration_health_private.utc_text(lease_until) AS lease_until, integration_health_private.may_lease('running', 1, NULL, lease_until, 5, '1 minute', moment) AS may
  FROM (VALUES
    ('2026-01-01 00:00:01Z'::timestamptz, '2026-01-01 00:00:02Z'::timestamptz),
    ('2026-01-01 00:00:02Z', '2026-01-01 00:00:02Z'),
    ('2026-01-01 00:00:02.000001Z', '2026-01-01 00:00:02Z'),
    ('2026-01-01Z', '2026-01-02Z'),
    ('2026-01-01Z', '2026-01-02 00:00:00.000001Z')) AS v (moment, lease_until);
-- never more than max_attempts, never again when it has succeeded
SELECT integration_health_private.may_lease('running', 5, NULL, 'epoch', 5, '1 minute', now()) AS given_up;
SELECT integration_health_private.may_lease('succeeded', 1, 'epoch', NULL, 5, '1 minute', moment) AS succeeded
  FROM unnest('{1970-01-01Z,2026-01-01Z,infinity}'::timestamptz[]) AS moment;
-- a failed run waits, and is given up in the end; a time that is ahead counts as past
SELECT attempt, integration_health_private.utc_text(moment) AS moment, integration_health_private.may_lease('failed', attempt, '2026-01-01Z', NULL, 20, '1 minute', moment) AS may
  FROM (VALUES (1, '2026-01-01Z'::timestamptz), (1, '2026-01-01 00:00:59.999999Z'), (1, '2026-01-01 00:01Z'), (1, '2025-12-31 23:59Z'),
               (19, '2026-01-01 00:59:59.999999Z'), (19, '2026-01-01 01:00Z'), (20, '2026-01-01 01:00Z'), (20, 'infinity')) AS v (attempt, moment);
SELECT extract(epoch FROM retry_backoff) / 60 AS first_wait, attempts, extract(epoch FROM integration_health_private.retry_at('2026-01-01Z', retry_backoff, attempts) - '2026-01-01Z') / 60 AS minutes
  FROM (VALUES (interval '1 minute', 1), ('1 minute', 2), ('1 minute', 6), ('1 minute', 7), ('1 minute', 2147483647),
               ('3 hours', 9), ('0', 2147483647)) AS v (retry_backoff, attempts);

-- the error names the period nearest to the time, on either side of it
SELECT count(set_sync_schedule('00000000-0000-0000-0000-00000000000a', 'xledger', '1 hour', '2026-01-01 10:00Z'));
SELECT integration_health_private.utc_text(at) AS at, t.error(format('SELECT claim_sync_run(%L, %L, %L)', '00000000-0000-0000-0000-00000000000a', 'xledger', at))
  FROM unnest('{1999-01-01Z,2026-01-01 09:59Z,2026-01-01 10:29Z,2026-01-01 10:30Z,2026-01-01 10:31Z,infinity}'::timestamptz[]) AS at;
DELETE FROM integration_sync_schedules;

-- times are written in UTC
SELECT integration_health_private.utc_text(at) FROM unnest(ARRAY[
  '2000-01-01Z', '1999-12-31 23:59:59.999999Z', '2000-02-29Z', '2000-03-01 01:01:01.5Z', '0001-01-01Z', '0001-01-01Z BC', '0002-12-31Z BC',
  '0044-03-15Z BC', '4713-01-01Z BC', '2026-01-01Z', '9999-12-31Z', '10000-01-01Z', 'infinity']::timestamptz[]) AS at;

-- only the current attempt ends a run
BEGIN;
SET LOCAL client_min_messages = error;
SELECT count(set_sync_schedule('00000000-0000-0000-0000-00000000000a', 'xledger', '1 hour', '2026-01-01 10:00Z'));
SELECT attempt FROM claim_sync_run('00000000-0000-0000-0000-00000000000a', 'xledger', '2026-01-01 10:00Z');
SELECT stored, reported, attempt, t.error(format(
         'UPDATE integration_sync_runs SET attempt = 3, outcome = %L, finished_at = %L, lease_until = %L;
          SELECT finish_sync_run(%L, %L, %L, %s, %L)', stored, CASE WHEN stored <> 'running' THEN now() END,
         CASE WHEN stored = 'running' THEN now() END, '00000000-0000-0000-0000-00000000000a', 'xledger', '2026-01-01 10:00Z', attempt, reported))
  FROM unnest('{running,succeeded,failed}'::text[]) AS stored, unnest('{succeeded,failed}'::text[]) AS reported, unnest('{2,3,4}'::integer[]) AS attempt;
ROLLBACK;
