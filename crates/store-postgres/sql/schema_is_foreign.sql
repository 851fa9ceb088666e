-- schema_is_foreign: whether the schema is there and was not made by this program.
SELECT to_regnamespace('queue') IS NOT NULL AND to_regclass('queue.migration') IS NULL
