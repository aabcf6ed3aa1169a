-- @engine header
-- integration_health @version@, put together by make from sql/src.
-- Every name is qualified; a body between BEGIN ATOMIC and END is parsed here, once, and does
-- not look at search_path when it runs.
\echo Use "CREATE EXTENSION integration_health" to load this file. \quit
-- @end
