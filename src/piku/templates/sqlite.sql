-- What piku has sqlite3 do. A line "-- NAME:" begins a part.
-- ensure:
-- With such a journal an app can read while another process writes.
PRAGMA journal_mode = WAL;
-- prepare:
-- replace:
.restore "@SCRATCH@"
PRAGMA journal_mode = WAL;
-- clean:
-- columns:
SELECT t.name || '.' || c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c
    WHERE t.type = 'table';
-- info:
SELECT sqlite_version();
SELECT page_count * page_size FROM pragma_page_count, pragma_page_size;
