-- Which shapes of events the journal holds, so that a program can tell at its
-- start whether it can read them all. Sessions record a shape before they append
-- the first event of it, in a transaction of its own: what is appended is always
-- recorded, while an append that fails leaves a shape without events.

create table {schema}.event_shape (
  type_name      text collate "C" not null,
  event_name     text collate "C" not null,
  schema_version integer not null check (schema_version > 0),
  primary key (type_name, event_name, schema_version)
);

insert into {schema}.event_shape (type_name, event_name, schema_version)
select distinct type_name, event_name, schema_version from {schema}.event;

-- Looks at the next p_limit events of a type after p_after and says whether one
-- of them has this shape, and which was the last one; null where there are no
-- more. There is no index by name, so this goes in pages: each takes less time
-- than any time limit.
create function {schema}.find_shape(
  p_type text, p_name text, p_schema_version integer, p_after bigint,
  p_limit bigint, out found boolean, out up_to bigint)
-- The journal grows faster than its statistics: never trust them to scan it.
language sql stable set enable_seqscan = off set enable_sort = off set jit = off
as $body$
  select bool_or(x.event_name = p_name
                 and x.schema_version = p_schema_version), max(x.seq_no)
    from (select e.event_name, e.schema_version, e.seq_no
            from {schema}.event as e
           where e.type_name = p_type and e.seq_no > p_after
           order by e.seq_no
           limit p_limit) as x
$body$;
