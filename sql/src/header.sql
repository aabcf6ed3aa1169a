-- @engine header
-- integration_health @version@, assembled by make from sql/src. Every name is qualified. A body between BEGIN ATOMIC and END
-- is parsed once, when this script runs, and does not depend on search_path when it is executed.
\echo Use "CREATE EXTENSION integration_health" to load this file. \quit
-- @end
