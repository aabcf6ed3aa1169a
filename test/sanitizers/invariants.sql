-- What is wrong with the stored rows, by the guarantees of the design; no row is good. Histories
-- may have holes where the cleanup ran.
SELECT format('pair %s %s: %s history rows from %s to %s, check_no %s', s.org_id, s.integration_type,
              count(h.slot), min(h.check_no), max(h.check_no), s.check_no)
  FROM integration_health_status s LEFT JOIN integration_health_history h USING (org_id, integration_type)
 GROUP BY s.org_id, s.integration_type
HAVING count(h.slot) > 96 OR max(h.check_no) > s.check_no OR min(h.check_no) <= s.check_no - 96
UNION ALL
SELECT format('history without a status: %s %s', h.org_id, h.integration_type)
  FROM integration_health_history h LEFT JOIN integration_health_status s USING (org_id, integration_type)
 WHERE s.org_id IS NULL GROUP BY h.org_id, h.integration_type
UNION ALL
SELECT format('%s %s: %s counted, %s there', integration_type, status, c.n, s.n)
  FROM (SELECT integration_type, status, sum(delta) AS n FROM integration_health_counts
         GROUP BY 1, 2 HAVING sum(delta) <> 0) c
  FULL JOIN (SELECT integration_type, status, count(*) AS n FROM integration_health_status
              GROUP BY 1, 2) s USING (integration_type, status)
 WHERE c.n IS DISTINCT FROM s.n;
