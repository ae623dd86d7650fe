-- The tables of the PostgreSQL stores, under their default names. `migrate()` runs the same statements.
-- Rows whose moment has passed are no longer used by anything: `prune()` deletes them.

create table if not exists "oauth_assertions" (
  id text primary key,
  expires_at timestamptz not null
);

create index if not exists "oauth_assertions_expires_at" on "oauth_assertions" (expires_at);

create table if not exists "oauth_codes" (
  id text primary key,
  record text not null,
  failures integer not null default 0,
  spent_at timestamptz,
  keep_until timestamptz not null
);

create index if not exists "oauth_codes_keep_until" on "oauth_codes" (keep_until);

alter table "oauth_codes" add column if not exists owner text;

create index if not exists "oauth_codes_owner" on "oauth_codes" (owner) where spent_at is null;

create table if not exists "oauth_sessions" (
  id text primary key,
  type text not null,
  subject text not null,
  record text not null,
  lock_version integer not null,
  expires_at timestamptz not null,
  ended_at timestamptz
);

create index if not exists "oauth_sessions_subject" on "oauth_sessions" (subject, type) where ended_at is null;

create index if not exists "oauth_sessions_expires_at" on "oauth_sessions" (expires_at);
