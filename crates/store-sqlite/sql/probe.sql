-- probe: writes ?1 bytes over those of the last probe. Random, since pages that stay the same are not written.
INSERT INTO probe (only, bytes) VALUES (1, randomblob(?1))
ON CONFLICT (only) DO UPDATE SET bytes = excluded.bytes
