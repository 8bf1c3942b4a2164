-- Copyright (c) 2026 lifeline.recovery contributors
-- GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
-- SPDX-License-Identifier: GPL-3.0-or-later

-- An application that publishes courses for several organizations: versions, metadata, tags, roles of users, and media.
-- Drills and tests load it. Loads on PostgreSQL 14 to 18.

CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text UNIQUE NOT NULL);
INSERT INTO auth.users VALUES ('11111111-1111-1111-1111-111111111111', 'editor@example.org');
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT COALESCE(
    NULLIF(current_setting('request.jwt.claim.sub', true), ''),
    NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;

CREATE TABLE organizations (
  id uuid PRIMARY KEY,
  name text NOT NULL,
  slug text NOT NULL UNIQUE,
  branding jsonb NOT NULL DEFAULT '{}',
  settings jsonb NOT NULL DEFAULT '{}'
);
CREATE TABLE user_roles (
  user_id uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE,
  organization_id uuid NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
  role text NOT NULL,
  PRIMARY KEY (user_id, organization_id)
);

CREATE TABLE tag_types (id uuid PRIMARY KEY, key text NOT NULL UNIQUE);
CREATE TABLE tags (
  id uuid PRIMARY KEY,
  -- A global tag has no organization.
  organization_id uuid REFERENCES organizations (id) ON DELETE CASCADE,
  type_id uuid NOT NULL REFERENCES tag_types (id),
  name text NOT NULL,
  slug text NOT NULL
);
CREATE TABLE tag_approval_queue (
  id uuid PRIMARY KEY,
  tag_id uuid NOT NULL REFERENCES tags (id) ON DELETE CASCADE,
  requested_by uuid NOT NULL REFERENCES auth.users (id) ON DELETE CASCADE
);

CREATE TABLE course_metadata (
  id text PRIMARY KEY,
  content_version int NOT NULL DEFAULT 1,
  etag int NOT NULL DEFAULT 1,
  tag_ids uuid[] NOT NULL DEFAULT '{}',
  updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION validate_tag_ids() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF EXISTS (SELECT FROM unnest(NEW.tag_ids) AS used (id) WHERE NOT EXISTS (SELECT FROM tags t WHERE t.id = used.id)) THEN
    RAISE EXCEPTION 'Invalid tag IDs';
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER validate_tag_ids BEFORE INSERT OR UPDATE OF tag_ids ON course_metadata
  FOR EACH ROW EXECUTE FUNCTION validate_tag_ids();

CREATE TABLE course_versions (
  id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
  course_id text NOT NULL REFERENCES course_metadata (id) ON DELETE CASCADE,
  version int,
  snapshot jsonb NOT NULL,
  published_by uuid NOT NULL REFERENCES auth.users (id),
  changelog text,
  etag int,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (course_id, version)
);
ALTER TABLE course_versions ENABLE ROW LEVEL SECURITY;
CREATE FUNCTION number_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.version IS NULL THEN
    SELECT COALESCE(max(version), 0) + 1 INTO NEW.version FROM course_versions WHERE course_id = NEW.course_id;
  END IF;
  RETURN NEW;
END
$$;
CREATE TRIGGER number_version BEFORE INSERT ON course_versions FOR EACH ROW EXECUTE FUNCTION number_version();
CREATE FUNCTION restore_course_version(p_course text, p_version int, p_changelog text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
  added int;
BEGIN
  UPDATE course_metadata SET content_version = content_version + 1, etag = etag + 1, updated_at = now()
  WHERE id = p_course RETURNING content_version INTO added;
  INSERT INTO course_versions (course_id, version, snapshot, published_by, changelog, etag)
  SELECT course_id, added, snapshot, auth.uid(), p_changelog, m.etag
  FROM course_versions v JOIN course_metadata m ON m.id = v.course_id
  WHERE v.course_id = p_course AND v.version = p_version;
  RETURN added;
END
$$;

CREATE TABLE media_assets (
  id uuid PRIMARY KEY,
  course_id text REFERENCES course_metadata (id) ON DELETE SET NULL,
  bucket text NOT NULL DEFAULT 'media',
  path text NOT NULL,
  mime_type text,
  size_bytes bigint,
  sha256 text,
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (bucket, path)
);
