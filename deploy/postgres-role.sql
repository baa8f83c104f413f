-- Run once by the image, on a new and empty database (docs/running.md): Phen's own role and
-- database. POSTGRES_PASSWORD holds the line of a password file: host:port:database:role:password.
\getenv line POSTGRES_PASSWORD
SELECT split_part(:'line', ':', 5) AS password \gset
CREATE ROLE phen LOGIN PASSWORD :'password';
ALTER ROLE phen SET log_error_verbosity = 'terse';
CREATE DATABASE phen OWNER phen ENCODING 'UTF8' TEMPLATE template0;
-- The administrator comes in by the socket of its own container, and by nothing else.
ALTER ROLE postgres PASSWORD NULL;
