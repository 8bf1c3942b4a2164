# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The schema of an application that publishes courses: versions, metadata, tags, row security, and functions."""

from __future__ import annotations

PUBLISHER = "11111111-1111-1111-1111-111111111111"

SCHEMA = f"""
CREATE SCHEMA auth;
CREATE TABLE auth.users (id uuid PRIMARY KEY, email text UNIQUE NOT NULL);
INSERT INTO auth.users VALUES ('{PUBLISHER}', 'editor@example.org');
CREATE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql STABLE AS $$
  SELECT COALESCE(
    NULLIF(current_setting('request.jwt.claim.sub', true), ''),
    NULLIF(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
  )::uuid
$$;
CREATE TABLE course_metadata (
  id text PRIMARY KEY,
  content_version int NOT NULL DEFAULT 1,
  etag int NOT NULL DEFAULT 1,
  tag_ids uuid[] NOT NULL DEFAULT '{{}}',
  updated_at timestamptz NOT NULL DEFAULT now()
);
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
"""
