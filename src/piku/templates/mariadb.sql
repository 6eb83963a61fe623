-- What piku has MariaDB do. A line "-- NAME:" begins a part; @…@ is replaced by a quoted name.
-- install:
FLUSH PRIVILEGES;
DELETE FROM mysql.global_priv WHERE User != 'root' OR Host != 'localhost';
FLUSH PRIVILEGES;
ALTER USER root@localhost IDENTIFIED BY '@PASSWORD@';
-- ensure:
CREATE DATABASE IF NOT EXISTS `@NAME@`;
CREATE USER IF NOT EXISTS '@NAME@'@'localhost';
ALTER USER '@NAME@'@'localhost' IDENTIFIED BY '@PASSWORD@' WITH MAX_USER_CONNECTIONS 40;
GRANT ALL ON `@PATTERN@`.* TO '@NAME@'@'localhost';
-- drop:
DROP DATABASE IF EXISTS `@NAME@`;
DROP USER IF EXISTS '@NAME@'@'localhost';
-- prepare:
CREATE OR REPLACE DATABASE `@restore`;
GRANT ALL ON `@restore`.* TO '@NAME@'@'localhost';
-- replace:
CREATE OR REPLACE DATABASE `@NAME@`;
-- clean:
DROP DATABASE IF EXISTS `@restore`;
REVOKE ALL ON `@restore`.* FROM '@NAME@'@'localhost';
-- columns:
SELECT concat_ws('.', table_name, column_name) FROM information_schema.columns
    WHERE table_schema = database();
-- info:
SELECT version();
SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables
    WHERE table_schema = database();
