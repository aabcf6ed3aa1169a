# shellcheck shell=bash
# distributed.sh: distributes the filled installation; all other files come after it.

check 0 'wrong number of shards' 'ERROR:  shards must be between 1 and 64000' -c 'SELECT integration_health_distribute(0)'
check 1 'distributed from a worker' 'ERROR:  this node is not the coordinator' -c 'SELECT integration_health_distribute(8)'
check 0 'distributed' 18 -c 'SELECT integration_health_distribute(8)'
check 0 'distributed twice' 0 -c 'SELECT integration_health_distribute(8)'
check 0 'every table is what it was' 0 -c 'SELECT count(*) FROM before AS b FULL JOIN digest() AS a USING (name, n, rows) WHERE a IS NULL OR b IS NULL'
check 0 'every report is what it was' 'backlog: 7, due syncs: 7, incidents: 50, measured: 5, problems: 5, sampled: 29, summary: 2, uptime: 2' -c "SELECT string_agg(format('%s: %s', name, n), ', ' ORDER BY name) FROM (SELECT b.name, count(*) AS n FROM reported AS b JOIN reports() AS a USING (name, line) GROUP BY 1) AS c"
check 0 'and in its order' 0 -c "SELECT count(*) FROM (SELECT name, line, row_number() OVER () AS n FROM reports()) AS a FULL JOIN (SELECT name, line, row_number() OVER () AS n FROM reported) AS b USING (name, line, n)
  WHERE (a IS NULL OR b IS NULL) AND name NOT IN ('measured', 'sampled')"
check 0 'nothing stays behind' 0 -c "SELECT sum(pg_relation_size(t.name)) FROM integration_health_citus.tables() AS t"
check 0 'numbers go on' 102,102 -c "UPDATE integration_health_status SET status = 'healthy'" -c "SELECT min(check_no) || ',' || max(check_no) FROM integration_health_status WHERE integration_type = 'xledger'"

for node in 0 1; do
  check $node 'TRUNCATE is refused' 'ERROR:  "integration_health_status" cannot be truncated on Citus' -c 'TRUNCATE integration_health_status'
done
consistent distributed
