-- arrive: takes ?1 arrival numbers; answers the last of them.
UPDATE arrival SET last = last + ?1 WHERE only = 1 RETURNING last
