# Copyright (c) 2026 lifeline.recovery contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases as the tools of applications write them for D1: their quotes, their keys, and their unique indexes."""

from __future__ import annotations

DRIZZLE = (
    "CREATE TABLE `__drizzle_migrations` (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)",
    "CREATE TABLE `channels` (`id` integer PRIMARY KEY AUTOINCREMENT NOT NULL, `handle` text NOT NULL,"
    " `settings` text DEFAULT '{}' NOT NULL, `created_at` integer DEFAULT (unixepoch()) NOT NULL)",
    "CREATE UNIQUE INDEX `channels_handle_unique` ON `channels` (`handle`)",
    "CREATE TABLE `videos` (`id` text PRIMARY KEY NOT NULL, `channel` text NOT NULL, `score` real,"
    " FOREIGN KEY (`channel`) REFERENCES `channels`(`handle`) ON UPDATE no action ON DELETE cascade)",
    "CREATE INDEX `videos_channel_idx` ON `videos` (`channel`,lower(`id`))",
    "CREATE TABLE `video_tags` (`video` text NOT NULL, `tag` text NOT NULL, PRIMARY KEY(`video`, `tag`),"
    " FOREIGN KEY (`video`) REFERENCES `videos`(`id`))",
    "INSERT INTO `__drizzle_migrations`(hash, created_at) VALUES('a1b2', 1700000000000)",
    "INSERT INTO channels(handle) VALUES('@one'), ('@two')",
    "INSERT INTO videos VALUES('v1', '@two', 1.0), ('v2', '@one', NULL)",
    "INSERT INTO video_tags VALUES('v1', 'a;b'), ('v1', 'c\n;d'), ('v2', '')",
)

PRISMA = (
    'CREATE TABLE "Tenant" ("id" TEXT NOT NULL PRIMARY KEY, "slug" TEXT NOT NULL, "region" TEXT NOT NULL,'
    ' "createdAt" DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP)',
    'CREATE TABLE "User" ("id" TEXT NOT NULL PRIMARY KEY, "email" TEXT NOT NULL, "slug" TEXT, "region" TEXT,'
    ' "bytes" BLOB, "price" DECIMAL, CONSTRAINT "User_slug_region_fkey" FOREIGN KEY ("slug", "region")'
    ' REFERENCES "Tenant" ("slug", "region") ON DELETE SET NULL ON UPDATE CASCADE)',
    'CREATE TABLE "_UserToUser" ("A" TEXT NOT NULL, "B" TEXT NOT NULL,'
    ' CONSTRAINT "_UserToUser_A_fkey" FOREIGN KEY ("A") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE,'
    ' CONSTRAINT "_UserToUser_B_fkey" FOREIGN KEY ("B") REFERENCES "User" ("id") ON DELETE CASCADE ON UPDATE CASCADE)',
    'CREATE UNIQUE INDEX "Tenant_slug_region_key" ON "Tenant"("slug", "region")',
    'CREATE UNIQUE INDEX "User_email_key" ON "User"("email")',
    'CREATE UNIQUE INDEX "_UserToUser_AB_unique" ON "_UserToUser"("A", "B")',
    'CREATE INDEX "_UserToUser_B_index" ON "_UserToUser"("B")',
    "INSERT INTO Tenant(id, slug, region) VALUES('t1', 'acme', 'eu'), ('t2', 'acme', 'us')",
    "INSERT INTO User VALUES('u1', 'a@x', 'acme', 'us', x'00ff', 1.50)",
    "INSERT INTO User VALUES('u2', 'b@x', NULL, NULL, NULL, 9007199254740993)",
    "INSERT INTO _UserToUser VALUES('u1', 'u2'), ('u2', 'u1')",
)

LARAVEL = (
    'CREATE TABLE "migrations" ("id" integer primary key autoincrement not null, "migration" varchar not null)',
    'CREATE TABLE "users" ("id" integer primary key autoincrement not null, "email" varchar not null,'
    " \"active\" tinyint(1) not null default ('1'), \"role\" varchar check (\"role\" in ('admin', 'user')) not null)",
    'CREATE UNIQUE INDEX "users_email_unique" on "users" ("email")',
    'CREATE TABLE "posts" ("id" integer primary key autoincrement not null, "user_id" integer not null,'
    ' "title" varchar not null, "deleted_at" datetime,'
    ' foreign key("user_id") references "users"("id") on delete cascade)',
    'CREATE UNIQUE INDEX "posts_live_title" on "posts" ("title") where "deleted_at" is null',
    'CREATE TABLE "sessions" ("id" varchar not null, "payload" text not null, primary key ("id"))',
    "INSERT INTO migrations(migration) VALUES('0001_01_01_000000_create_users_table')",
    "INSERT INTO users(email, role) VALUES('a@x', 'admin'), ('b@x', 'user')",
    "INSERT INTO posts(user_id, title, deleted_at) VALUES(1, 'same', NULL), (2, 'same', '2026-01-01'), (2, 'z', NULL)",
    "DELETE FROM posts WHERE title = 'z'",
    "INSERT INTO sessions VALUES('s', 'line;\nline;\n')",
)

PAYLOAD = (
    "CREATE TABLE `users_sessions` (`_order` integer NOT NULL, `_parent_id` integer NOT NULL, `id` text PRIMARY KEY"
    " NOT NULL, FOREIGN KEY (`_parent_id`) REFERENCES `users`(`id`) ON UPDATE no action ON DELETE cascade)",
    "CREATE TABLE `users` (`id` integer PRIMARY KEY NOT NULL, `email` text NOT NULL,"
    " `updated_at` text DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')) NOT NULL)",
    "CREATE UNIQUE INDEX `users_email_idx` ON `users` (`email`)",
    "CREATE TABLE `pages` (`id` integer PRIMARY KEY NOT NULL, `parent_id` integer, `layout` text, `title` text,"
    " `words` integer AS (length(`title`)) STORED, FOREIGN KEY (`parent_id`) REFERENCES `pages`(`id`))",
    "CREATE VIRTUAL TABLE `pages_fts` USING fts5(`title`, content='searchable', content_rowid='id')",
    "CREATE VIEW `searchable` AS SELECT id, title FROM pages WHERE title IS NOT NULL -- drafts have no title",
    "CREATE TRIGGER `pages_write` INSTEAD OF INSERT ON `searchable`"
    " BEGIN INSERT INTO pages(title) VALUES(new.title); END",
    "INSERT INTO pages_fts(pages_fts, rank) VALUES('rank', 'bm25(10.0)')",
    "INSERT INTO users(id, email) VALUES(1, 'a@x')",
    "INSERT INTO users_sessions VALUES(1, 1, 's1'), (2, 1, 's2')",
    "INSERT INTO pages(id, parent_id, layout, title) VALUES(1, NULL, '[]', 'hello world'), (7, 1, NULL, NULL)",
    "INSERT INTO pages_fts(pages_fts) VALUES('rebuild')",
)

APPLICATIONS = {"drizzle": DRIZZLE, "prisma": PRISMA, "laravel": LARAVEL, "payload": PAYLOAD}
