-- What piku has PostgreSQL do. A line "-- NAME:" begins a part; @…@ is replaced by a quoted name.
-- ensure:
SELECT 'CREATE ROLE "@NAME@"'
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '@NAME@') \gexec
ALTER ROLE "@NAME@" LOGIN CONNECTION LIMIT 40 PASSWORD '@PASSWORD@';
GRANT "@NAME@" TO CURRENT_USER;
SELECT 'CREATE DATABASE "@NAME@" OWNER "@NAME@"'
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = '@NAME@') \gexec
REVOKE ALL ON DATABASE "@NAME@" FROM PUBLIC;
-- Refused with a warning by a server of which we are not the owner.
REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC;
-- drop:
DROP DATABASE IF EXISTS "@NAME@" WITH (FORCE);
DROP ROLE IF EXISTS "@NAME@";
-- prepare:
DROP DATABASE IF EXISTS "@restore" WITH (FORCE);
CREATE DATABASE "@restore" OWNER "@NAME@";
REVOKE ALL ON DATABASE "@restore" FROM PUBLIC;
-- replace:
DROP DATABASE IF EXISTS "@before" WITH (FORCE);
ALTER DATABASE "@NAME@" CONNECTION LIMIT 0;
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '@NAME@';
BEGIN;
ALTER DATABASE "@NAME@" RENAME TO "@before";
ALTER DATABASE "@restore" RENAME TO "@NAME@";
COMMIT;
-- clean:
DROP DATABASE IF EXISTS "@restore" WITH (FORCE);
DROP DATABASE IF EXISTS "@before" WITH (FORCE);
ALTER DATABASE "@NAME@" CONNECTION LIMIT -1;
-- columns:
SELECT concat_ws('.', table_name, column_name) FROM information_schema.columns
    WHERE table_schema NOT IN ('pg_catalog', 'information_schema');
-- info:
SHOW server_version;
SELECT pg_database_size(current_database());
