-- bare_insert: stores ?1 jobs, which it makes itself.
INSERT INTO bare (key, payload)
WITH RECURSIVE job (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM job WHERE i < ?1)
SELECT 'user:' || i, '{"repo":"acme/widgets","pr":123,"sha":"0123456789abcdef0123456789abcdef01234567","tier":"PRO","installation":42}'
FROM job WHERE i <= ?1
