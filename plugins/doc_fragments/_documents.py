# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that this fragment is PRIVATE to the collection and may change without notice.

from __future__ import annotations


class ModuleDocFragment:
    # Where versioned documents live: tables and a bucket.
    DOCUMENTATION = r"""
options:
  json_schema:
    description:
      - A JSON Schema that the content of a valid version matches. If it is unset, every JSON text is valid.
      - References within the schema are resolved; references to other schemas are refused, and never requested.
    type: dict
  run_as:
    description:
      - The PostgreSQL role whose rights the work on the tables has. If it is unset, documents are read by a role that may only read,
        and restored as the owner of the tables.
    type: str
  parallel_files:
    description:
      - How many published copies are read in parallel.
    type: int
    default: 8
"""

    # The tables of versions and of documents.
    TABLES = r"""
options:
  versions:
    description:
      - The table of versions, which has one row for each version of a document, and the names of its columns.
      - Columns of publisher, changelog, etag, time and key that the table lacks are not used, unless they are named here.
    type: dict
    default: {}
    suboptions:
      table:
        description:
          - Name of the table, as C(table) or C(schema.table).
        type: str
        default: course_versions
      document:
        description:
          - Column of the id of the document.
        type: str
        default: course_id
      version:
        description:
          - Column of the number of the version.
        type: str
        default: version
      content:
        description:
          - Column of the content, of the type C(jsonb), C(json) or C(text). If the table lacks it, every version is an object.
        type: str
        default: snapshot
      storage_path:
        description:
          - Column of the key, below the prefix of the bucket, of an object that holds the content of a version whose row has no content.
            A restored version has the same object. Metadata of a version in another column is never read as its content.
        type: str
        default: storage_path
      publisher:
        description:
          - Column of the user who published the version.
        type: str
        default: published_by
      changelog:
        description:
          - Column of the text that describes the version.
        type: str
        default: changelog
      etag:
        description:
          - Column of the number that each publication increases.
        type: str
        default: etag
      published_at:
        description:
          - Column of the instant of the publication.
        type: str
        default: created_at
  metadata:
    description:
      - The table of documents, which has one row for each document, and the names of its columns.
    type: dict
    default: {}
    suboptions:
      table:
        description:
          - Name of the table. An empty text means that the database has no such table.
        type: str
        default: course_metadata
      document:
        description:
          - Column of the id of the document.
        type: str
        default: id
      version:
        description:
          - Column of the number of the current version.
        type: str
        default: content_version
      etag:
        description:
          - Column of the number that each publication increases. Publications are compared by it.
        type: str
        default: etag
      updated_at:
        description:
          - Column of the instant of the last publication.
        type: str
        default: updated_at
"""

    # The published copies in a bucket.
    COPIES = r"""
options:
  key:
    description:
      - Key of the published copy in the bucket O(files), with C({document}) in the place of the id.
    type: str
    default: "{document}.json"
"""
