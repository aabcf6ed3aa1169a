-- integration_health on Citus: on every node, this extension changes what Citus cannot distribute as it is, and puts functions
-- that reach the shards in the place of those that read or write the tables of pairs. The functions of integration_health do
-- the work, unchanged, on one shard at a time: see docs/citus.md.
\echo Use "CREATE EXTENSION integration_health_citus" to load this file. \quit
