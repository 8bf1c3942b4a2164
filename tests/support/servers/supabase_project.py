# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The database of a Supabase project: the roles, schemas and objects that the platform makes, and an application.

Shape: migrations of supabase/postgres (2024-10), with the restriction of the role postgres of 2025-04
(https://github.com/supabase/postgres/pull/994). Rights that the extension supautils gives the role postgres are granted
by PostgreSQL's own means where these exist; policies on storage.objects need RESTRICTED to be left out.
"""

from __future__ import annotations

import contextlib
import typing as t
from dataclasses import replace

import psycopg2

from tests.support.servers.postgres import PostgresServer, find_bin_dir, postgres_server

ADMIN = "supabase_admin"
DATABASE = "postgres"

#: The platform's superuser is supabase_admin; postgres has no superuser rights.
_RENAME = (
    "CREATE ROLE bootstrap SUPERUSER LOGIN PASSWORD '{password}'",
    "ALTER ROLE postgres RENAME TO supabase_admin",
    "DROP ROLE bootstrap",
)

_ROLES = """
CREATE ROLE postgres NOSUPERUSER CREATEROLE CREATEDB REPLICATION BYPASSRLS LOGIN PASSWORD '{password}';
CREATE ROLE anon NOLOGIN;
CREATE ROLE authenticated NOLOGIN;
CREATE ROLE service_role NOLOGIN BYPASSRLS;
CREATE ROLE authenticator NOINHERIT LOGIN;
CREATE ROLE supabase_auth_admin NOINHERIT CREATEROLE LOGIN;
CREATE ROLE supabase_storage_admin NOINHERIT CREATEROLE LOGIN;
CREATE ROLE supabase_realtime_admin NOINHERIT;
CREATE ROLE dashboard_user CREATEDB CREATEROLE REPLICATION;
CREATE ROLE pgbouncer LOGIN;
GRANT anon, authenticated, service_role TO authenticator;
GRANT anon, authenticated, service_role, pg_monitor, pg_read_all_data, pg_signal_backend TO postgres;
GRANT authenticator TO supabase_storage_admin;
GRANT SET ON PARAMETER session_replication_role TO postgres;
ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
ALTER ROLE postgres SET search_path = "$user", public, extensions;
"""

#: A project before 2025-04; since then the role postgres owns nothing of auth and storage.
UNRESTRICTED = "GRANT supabase_auth_admin, supabase_storage_admin TO postgres"
RESTRICTED = "REVOKE supabase_auth_admin, supabase_storage_admin FROM postgres"

_EMPTY_PROJECT = """
CREATE SCHEMA extensions;
CREATE SCHEMA auth;
CREATE SCHEMA storage;
CREATE SCHEMA realtime;
CREATE SCHEMA vault;
CREATE SCHEMA graphql;
CREATE SCHEMA graphql_public;
CREATE SCHEMA pgbouncer AUTHORIZATION pgbouncer;
CREATE EXTENSION "uuid-ossp" WITH SCHEMA extensions;
CREATE EXTENSION pgcrypto WITH SCHEMA extensions;
CREATE EXTENSION pg_stat_statements WITH SCHEMA extensions;

GRANT USAGE ON SCHEMA public, extensions, graphql_public TO postgres, anon, authenticated, service_role;
GRANT ALL ON SCHEMA extensions TO postgres;
ALTER DEFAULT PRIVILEGES IN SCHEMA extensions GRANT ALL ON ROUTINES TO postgres WITH GRANT OPTION;
{default_privileges}

SET ROLE supabase_admin;
CREATE TYPE auth.factor_type AS ENUM ('totp', 'webauthn');
CREATE TABLE auth.users (
    instance_id uuid,
    id uuid PRIMARY KEY,
    email varchar(255) UNIQUE,
    encrypted_password varchar(255),
    email_confirmed_at timestamptz,
    phone text UNIQUE DEFAULT NULL,
    phone_confirmed_at timestamptz,
    confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    created_at timestamptz,
    is_anonymous boolean NOT NULL DEFAULT false
);
COMMENT ON TABLE auth.users IS 'Auth: Stores user login data within a secure schema.';
CREATE TABLE auth.identities (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    provider text NOT NULL,
    user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
    identity_data jsonb NOT NULL,
    email text GENERATED ALWAYS AS (lower(identity_data ->> 'email')) STORED
);
CREATE TABLE auth.sessions (id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE);
CREATE TABLE auth.refresh_tokens (
    id bigserial PRIMARY KEY,
    token varchar(255) UNIQUE,
    session_id uuid REFERENCES auth.sessions ON DELETE CASCADE
);
CREATE TABLE auth.mfa_factors (
    id uuid PRIMARY KEY, user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE, kind auth.factor_type NOT NULL
);
CREATE TABLE auth.schema_migrations (version varchar(255) PRIMARY KEY);
INSERT INTO auth.schema_migrations VALUES ('20171026211738'), ('20240806073726');
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('request.jwt.claim.sub', true), '')::uuid $$;
CREATE FUNCTION auth.role() RETURNS text LANGUAGE sql STABLE AS $$
    SELECT nullif(current_setting('request.jwt.claim.role', true), '')::text $$;
ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE auth.identities ENABLE ROW LEVEL SECURITY;

CREATE TABLE storage.buckets (
    id text PRIMARY KEY, name text NOT NULL UNIQUE, owner uuid, owner_id text, public boolean DEFAULT false,
    file_size_limit bigint, allowed_mime_types text[], created_at timestamptz DEFAULT now()
);
CREATE TABLE storage.objects (
    id uuid PRIMARY KEY DEFAULT extensions.uuid_generate_v4(),
    bucket_id text CONSTRAINT "objects_bucketId_fkey" REFERENCES storage.buckets,
    name text,
    owner_id text,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz DEFAULT now(),
    metadata jsonb,
    path_tokens text[] GENERATED ALWAYS AS (string_to_array(name, '/')) STORED,
    version text
);
CREATE UNIQUE INDEX bucketid_objname ON storage.objects (bucket_id, name);
CREATE TABLE storage.migrations (
    id integer PRIMARY KEY, name varchar(100) NOT NULL UNIQUE, hash varchar(40) NOT NULL, executed_at timestamp
);
INSERT INTO storage.migrations VALUES (0, 'create-migrations-table', 'e18db593', now()), (1, 'initial', 'eafa', now());
CREATE FUNCTION storage.foldername(name text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT (string_to_array(name, '/'))[1:array_length(string_to_array(name, '/'), 1) - 1] $$;
CREATE FUNCTION storage.update_updated_at_column() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN NEW.updated_at = now(); RETURN NEW; END $$;
CREATE FUNCTION storage.protect_delete() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF coalesce(current_setting('storage.allow_delete_query', true), 'false') <> 'true' THEN
            RAISE EXCEPTION 'Direct deletion from storage tables is not allowed.' USING ERRCODE = '42501';
        END IF;
        RETURN NULL;
    END $$;
CREATE TRIGGER update_objects_updated_at BEFORE UPDATE ON storage.objects
    FOR EACH ROW EXECUTE FUNCTION storage.update_updated_at_column();
CREATE TRIGGER protect_objects_delete BEFORE DELETE ON storage.objects
    FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
CREATE TRIGGER protect_buckets_delete BEFORE DELETE ON storage.buckets
    FOR EACH STATEMENT EXECUTE FUNCTION storage.protect_delete();
ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY;
ALTER TABLE storage.buckets ENABLE ROW LEVEL SECURITY;
RESET ROLE;

DO $$
DECLARE made record;
BEGIN
    FOR made IN SELECT c.oid::regclass AS name, n.nspname AS schema FROM pg_class c
                JOIN pg_namespace n ON n.oid = c.relnamespace
                WHERE c.relkind = 'r' AND n.nspname IN ('auth', 'storage') LOOP
        EXECUTE format('ALTER TABLE %s OWNER TO supabase_%s_admin', made.name, made.schema);
    END LOOP;
    FOR made IN SELECT p.oid::regprocedure AS name, n.nspname AS schema FROM pg_proc p
                JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('auth', 'storage') LOOP
        EXECUTE format('ALTER FUNCTION %s OWNER TO supabase_%s_admin', made.name, made.schema);
    END LOOP;
END $$;
ALTER TYPE auth.factor_type OWNER TO supabase_auth_admin;
GRANT USAGE ON SCHEMA auth, storage TO anon, authenticated, service_role, postgres;
GRANT ALL ON SCHEMA auth TO supabase_auth_admin, dashboard_user;
GRANT ALL ON SCHEMA storage TO supabase_storage_admin, dashboard_user;
GRANT ALL ON ALL TABLES IN SCHEMA auth, storage TO postgres, dashboard_user;
GRANT ALL ON ALL SEQUENCES IN SCHEMA auth, storage TO postgres, dashboard_user;
GRANT ALL ON ALL ROUTINES IN SCHEMA auth, storage TO postgres, dashboard_user;
GRANT ALL ON storage.objects, storage.buckets TO anon, authenticated, service_role;
REVOKE ALL ON auth.schema_migrations, storage.migrations FROM postgres;

CREATE TABLE realtime.messages (id uuid PRIMARY KEY, topic text NOT NULL, payload jsonb);
CREATE TABLE realtime.schema_migrations (version bigint PRIMARY KEY);
INSERT INTO realtime.schema_migrations VALUES (20211116024918);
CREATE TABLE vault.secrets (id uuid PRIMARY KEY, name text, secret text NOT NULL);
CREATE FUNCTION graphql_public.graphql(query text) RETURNS jsonb LANGUAGE sql AS $$ SELECT '{{}}'::jsonb $$;
CREATE FUNCTION pgbouncer.get_auth(name text) RETURNS text LANGUAGE sql SECURITY DEFINER AS $$ SELECT name $$;

CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN NOTIFY pgrst, 'reload schema'; END $$;
CREATE FUNCTION extensions.set_graphql_placeholder() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN PERFORM count(*) FROM pg_event_trigger_dropped_objects(); END $$;
CREATE FUNCTION extensions.grant_pg_cron_access() RETURNS event_trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() e JOIN pg_extension x ON x.oid = e.objid
                   WHERE x.extname = 'pg_cron') THEN
            GRANT USAGE ON SCHEMA cron TO postgres WITH GRANT OPTION;
            GRANT ALL ON ALL FUNCTIONS IN SCHEMA cron TO postgres WITH GRANT OPTION;
            GRANT ALL ON ALL TABLES IN SCHEMA cron TO postgres WITH GRANT OPTION;
            REVOKE ALL ON TABLE cron.job FROM postgres;
            GRANT SELECT ON TABLE cron.job TO postgres WITH GRANT OPTION;
        END IF;
    END $$;
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();
CREATE EVENT TRIGGER issue_graphql_placeholder ON sql_drop WHEN TAG IN ('DROP EXTENSION')
    EXECUTE FUNCTION extensions.set_graphql_placeholder();
CREATE EVENT TRIGGER issue_pg_cron_access ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION')
    EXECUTE FUNCTION extensions.grant_pg_cron_access();

CREATE PUBLICATION supabase_realtime;
ALTER PUBLICATION supabase_realtime OWNER TO postgres;
CREATE PUBLICATION supabase_realtime_messages_publication FOR TABLE realtime.messages;
"""

_DEFAULT_PRIVILEGES = "\n".join(
    f"ALTER DEFAULT PRIVILEGES FOR ROLE {role} IN SCHEMA {schema} "
    f"GRANT ALL ON {kind} TO postgres, anon, authenticated, service_role;"
    for role in ("postgres", ADMIN)
    for schema in ("public", "storage")
    for kind in ("TABLES", "FUNCTIONS", "SEQUENCES")
)

#: Additions of a later release of the platform: a column with a default and a table that the older one lacks.
_NEWER = """
ALTER TABLE auth.users ADD COLUMN is_sso_user boolean NOT NULL DEFAULT false;
ALTER TABLE storage.buckets ADD COLUMN type text NOT NULL DEFAULT 'STANDARD';
CREATE TABLE auth.oauth_clients (id uuid PRIMARY KEY, user_id uuid REFERENCES auth.users ON DELETE CASCADE);
ALTER TABLE auth.oauth_clients OWNER TO supabase_auth_admin;
GRANT ALL ON auth.oauth_clients TO postgres;
INSERT INTO auth.schema_migrations VALUES ('20250804100000');
"""

#: Run as the role postgres, as the migrations of an application are.
_APPLICATION = """
CREATE SCHEMA private;
CREATE TABLE public.profiles (
    id uuid PRIMARY KEY REFERENCES auth.users ON DELETE CASCADE, display_name text, is_teacher boolean DEFAULT false
);
CREATE TABLE public.courses (
    id uuid PRIMARY KEY DEFAULT extensions.uuid_generate_v4(),
    owner_id uuid NOT NULL DEFAULT auth.uid() REFERENCES public.profiles,
    title text NOT NULL
);
CREATE TABLE public.api_keys (
    id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    secret bytea NOT NULL DEFAULT extensions.gen_random_bytes(16)
);
REVOKE ALL ON public.api_keys FROM anon, authenticated;
REVOKE ALL ON SEQUENCE public.api_keys_id_seq FROM anon, authenticated;
CREATE FUNCTION private.is_teacher() RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $$
    SELECT EXISTS (SELECT FROM public.profiles WHERE id = auth.uid() AND is_teacher) $$;
GRANT USAGE ON SCHEMA private TO authenticated;
CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
    BEGIN
        INSERT INTO public.profiles (id, display_name) VALUES (NEW.id, NEW.raw_user_meta_data ->> 'name');
        RETURN NEW;
    END $$;
CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users
    FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.courses ENABLE ROW LEVEL SECURITY;
ALTER TABLE public.api_keys ENABLE ROW LEVEL SECURITY;
CREATE POLICY "Own profile" ON public.profiles TO authenticated USING (id = auth.uid());
CREATE POLICY "Teachers write courses" ON public.courses TO authenticated
    USING (true) WITH CHECK (private.is_teacher() AND owner_id = auth.uid());
CREATE VIEW public.course_owners WITH (security_invoker = true) AS
    SELECT c.title, p.display_name FROM public.courses c JOIN public.profiles p ON p.id = c.owner_id;
ALTER PUBLICATION supabase_realtime ADD TABLE public.courses;

INSERT INTO auth.users (id, email, encrypted_password, email_confirmed_at, raw_user_meta_data, created_at)
    SELECT md5(g::text)::uuid, 'user' || g || '@example.org', extensions.crypt('x' || g, extensions.gen_salt('bf', 4)),
           '2026-01-01', jsonb_build_object('name', 'User ' || g), '2026-01-01' FROM generate_series(1, {users}) g;
INSERT INTO auth.identities (provider, user_id, identity_data)
    SELECT 'email', id, jsonb_build_object('email', upper(email)) FROM auth.users;
INSERT INTO auth.sessions SELECT extensions.uuid_generate_v4(), id FROM auth.users;
INSERT INTO auth.refresh_tokens (token, session_id) SELECT 'token ' || id, id FROM auth.sessions;
UPDATE public.profiles SET is_teacher = true WHERE display_name = 'User 1';
INSERT INTO public.courses (owner_id, title)
    SELECT id, 'Course of ' || display_name FROM public.profiles WHERE is_teacher;
INSERT INTO public.api_keys DEFAULT VALUES;
INSERT INTO storage.buckets (id, name, public) VALUES ('avatars', 'avatars', true), ('lessons', 'lessons', false);
INSERT INTO storage.objects (bucket_id, name, owner_id, metadata)
    SELECT 'avatars', id || '/face.png', id, '{{"size": 1234, "mimetype": "image/png"}}' FROM auth.users;
-- Text that users of the application may write: names that are paths, templates, statements and marks of COPY.
INSERT INTO storage.buckets (id, name, public) VALUES ('b"; DROP SCHEMA public; --', E'../\\n%s', true);
UPDATE storage.objects o SET bucket_id = 'b"; DROP SCHEMA public; --', name = h.name
    FROM (VALUES (1, '../../../etc/cron.d/x'), (2, E'line\nbreak'), (3, '{{{{ lookup("pipe", "id") }}}}'),
                 (4, E'\\\\.'), (5, $$'; DROP TABLE public.courses; --$$)) h (n, name)
    WHERE o.owner_id = md5(h.n::text)::uuid::text;
CREATE TABLE public."odd""; DROP TABLE courses; --" (id int PRIMARY KEY, "a'b%s" text DEFAULT '{{{{ x }}}}');
CREATE POLICY "p""; DROP SCHEMA public; --" ON public."odd""; DROP TABLE courses; --" TO authenticated USING (id > 0);
INSERT INTO public."odd""; DROP TABLE courses; --" VALUES (1, E'\\\\N');

CREATE SCHEMA supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
INSERT INTO supabase_migrations.schema_migrations VALUES ('20260101000000', '{{create table profiles}}', 'first');
SELECT cron.schedule('nightly', '0 3 * * *', $$DELETE FROM public.api_keys WHERE false$$);
SELECT cron.alter_job(cron.schedule('paused', '*/5 * * * *', $$SELECT 'it''s \\ paused'$$), active := false);
"""

#: supautils lets the role postgres make these; here the platform's superuser does.
_STORAGE_POLICIES = """
CREATE POLICY "Avatars are public" ON storage.objects FOR SELECT USING (bucket_id = 'avatars');
CREATE POLICY "Own folder" ON storage.objects FOR INSERT TO authenticated
    WITH CHECK (bucket_id = 'avatars' AND (storage.foldername(name))[1] = auth.uid()::text);
CREATE POLICY "Teachers" ON storage.objects TO authenticated USING (private.is_teacher());
INSERT INTO vault.secrets VALUES (gen_random_uuid(), 'webhook', 'encrypted'), (gen_random_uuid(), 'smtp', 'encrypted');
"""


def is_possible() -> bool:
    """PostgreSQL 15 with pg_cron is installed."""
    folder = find_bin_dir("15")
    return folder is not None and (folder.parent / "lib/pg_cron.so").exists()


@contextlib.contextmanager
def supabase_server() -> t.Iterator[PostgresServer]:
    """A server with the roles of the platform; the options of the server log in as the role postgres."""
    settings = {"shared_preload_libraries": "pg_cron", "cron.database_name": DATABASE, "wal_level": "logical"}
    with postgres_server("15", settings=settings) as server:
        _execute(server, "postgres", _RENAME[0].format(password=server.password))
        _execute(server, "bootstrap", _RENAME[1])
        for statement in (_RENAME[2], _ROLES.format(password=server.password)):
            _execute(server, ADMIN, statement)
        yield server


def create_project(server: PostgresServer, *, newer: bool = False, cron: bool = True) -> None:
    """Make the server's database an empty project; newer: of a later release of the platform."""
    with server.session("template1", user=ADMIN) as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)")
        cursor.execute(f"CREATE DATABASE {DATABASE} OWNER postgres TEMPLATE template0")
    run_as_admin(server, _EMPTY_PROJECT.format(default_privileges=_DEFAULT_PRIVILEGES))
    if newer:
        run_as_admin(server, _NEWER)
    if cron:
        run_as_admin(server, "CREATE EXTENSION pg_cron")


def load_application(server: PostgresServer, *, users: int = 30) -> None:
    """Fill an empty project that has pg_cron with an application and its users."""
    _execute(server, "postgres", _APPLICATION.format(users=users))
    run_as_admin(server, _STORAGE_POLICIES)


def run_as_admin(server: PostgresServer, script: str) -> None:
    _execute(server, ADMIN, script)


def _execute(server: PostgresServer, user: str, script: str) -> None:
    options = replace(server.options(DATABASE, user=user))
    conn = psycopg2.connect(**options.keywords)
    conn.autocommit = True
    try:
        with conn.cursor() as cursor:
            cursor.execute(script)
    finally:
        conn.close()
