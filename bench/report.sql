-- Medians over the rounds, and ratios to the bare upsert of the same round.
\pset format aligned
SELECT s.workload, s.variant,
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY s.ms * 1000 / s.checks)::numeric, 1) AS "us per check",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY s.wal / s.checks)::numeric) AS "WAL bytes per check",
       round(min(s.ms / b.ms), 2) AS "times bare: min",
       round(percentile_cont(0.5) WITHIN GROUP (ORDER BY s.ms / b.ms)::numeric, 2) AS median,
       round(max(s.ms / b.ms), 2) AS max
  FROM bench.sample s JOIN bench.sample b ON b.workload = s.workload AND b.round = s.round AND b.variant = 'bare'
 GROUP BY s.workload, s.variant
 ORDER BY s.workload, "us per check";
