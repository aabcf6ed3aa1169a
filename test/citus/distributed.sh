# shellcheck shell=bash
# distributed.sh: distributes the filled installation; all other files come after it.

check 0 'wrong number of shards' 'ERROR:  shards must be between 1 and 64000' -c 'SELECT integration_health_distribute(0)'
check 1 'distributed from a worker' 'ERROR:  this node is not the coordinator' -c 'SELECT integration_health_distribute(8)'
check 0 'distributed' 18 -c 'SELECT integration_health_distribute(8)'
check 0 'distributed twice' 0 -c 'SELECT integration_health_distribute(8)'
check 0 'every table is what it was' 0 -c 'SELECT count(*) FROM before AS b FULL JOIN digest() AS a USING (name, n, rows) WHERE a IS NULL OR b IS NULL'
check 0 'nothing stays behind' 0 -c "SELECT sum(pg_relation_size(t.name)) FROM integration_health_citus.tables() AS t"
check 0 'numbers go on' 102,102 -c "UPDATE integration_health_status SET status = 'healthy'" -c "SELECT min(check_no) || ',' || max(check_no) FROM integration_health_status"

consistent distributed
