-- owner: the mark of the program that the file belongs to, and whether the file holds anything.
select application_id, exists (select 1 from sqlite_schema) from pragma_application_id
