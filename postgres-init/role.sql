-- The role of the services, "fanout": it owns the schema of the store, and may do nothing else.
--
-- Run by a superuser in the services' database, any number of times: by the image of PostgreSQL when it has
-- initialised a volume, before each further start of the container (compose.yaml, kubernetes/postgres.yaml), and by
-- `make run`. Without psql's own commands, and with an empty line only after a statement, for `postgres --single -j`.

DO $$
DECLARE
    superuser name;
    password text;
BEGIN
    -- The role that initdb made. Nobody can take its rights away.
    SELECT rolname, rolpassword INTO superuser, password FROM pg_authid WHERE oid = 10;
    -- A volume of an earlier release: the services were this superuser. It gets another name, which nobody can do to
    -- themselves.
    IF superuser = 'fanout' THEN
        superuser := CASE WHEN to_regrole('postgres') IS NULL THEN 'postgres' ELSE 'fanout_superuser' END;
        CREATE ROLE fanout_renames SUPERUSER;
        SET LOCAL SESSION AUTHORIZATION fanout_renames;
        EXECUTE format('ALTER ROLE fanout RENAME TO %I', superuser);
        EXECUTE format('SET LOCAL SESSION AUTHORIZATION %I', superuser);
        DROP ROLE fanout_renames;
    END IF;
    -- With the password of the volume, as it is stored. The superuser keeps none: it can sign in only where no
    -- password is asked for, which is inside the container.
    IF to_regrole('fanout') IS NULL THEN
        EXECUTE format('CREATE ROLE fanout LOGIN PASSWORD %L', password);
        EXECUTE format('ALTER ROLE %I PASSWORD NULL', superuser);
    END IF;
    ALTER ROLE fanout NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
END $$;

DO $$
DECLARE
    object text;
BEGIN
    REVOKE CONNECT ON DATABASE postgres, template1 FROM PUBLIC;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO fanout', current_database());
    CREATE SCHEMA IF NOT EXISTS fanout_store AUTHORIZATION fanout;
    -- What the services made as superuser, such as the tables of a handler of one's own.
    FOR object IN
        SELECT format('SCHEMA %I', nspname) FROM pg_namespace
        WHERE nspowner = 10 AND nspname !~ '^pg_' AND nspname <> 'information_schema'
        UNION ALL
        SELECT format('TABLE %s', class.oid::regclass) FROM pg_class AS class
        WHERE relowner = 10 AND class.oid >= 16384 AND relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
            AND relnamespace::regnamespace::text !~ '^pg_'
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = class.oid AND deptype IN ('a', 'i', 'e'))
        UNION ALL
        SELECT format('ROUTINE %s', routine.oid::regprocedure) FROM pg_proc AS routine
        WHERE proowner = 10 AND routine.oid >= 16384
            AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = routine.oid AND deptype = 'e')
    LOOP
        EXECUTE format('ALTER %s OWNER TO fanout', object);
    END LOOP;
    -- A store of release 0.1.0 lies in the schema "public". Its migration leaves views there.
    REVOKE CREATE ON SCHEMA public FROM PUBLIC, fanout;
    IF EXISTS (SELECT FROM pg_tables WHERE schemaname = 'public' AND tablename = 'messages') THEN
        GRANT CREATE ON SCHEMA public TO fanout;
    END IF;
END $$;
