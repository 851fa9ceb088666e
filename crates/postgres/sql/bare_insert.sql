INSERT INTO bare (key, payload)
SELECT 'user:' || i, '{"repo":"acme/widgets","pr":123,"sha":"0123456789abcdef0123456789abcdef01234567","tier":"PRO","installation":42}'
FROM generate_series(1, $1) i
