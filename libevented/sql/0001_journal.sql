-- The journal. Braces name what the library fills in: the schema, the type of
-- entity IDs, the column type of payloads and the type in which they travel.

create table {schema}.event (
  seq_no         bigint not null generated always as identity (cache 1),
  type_name      text collate "C" not null,
  entity_id      {id_column} not null,
  version        bigint not null check (version > 0),
  slice          smallint not null check (slice between 0 and 1023),
  event_name     text collate "C" not null,
  schema_version integer not null check (schema_version > 0),
  append_id      uuid not null,
  created_at     timestamptz not null default now(),
  event          {payload_type} not null,
  metadata       jsonb,
  -- J1: of two writers with the same version, one wins.
  primary key (type_name, entity_id, version)
);

create index event_by_type on {schema}.event (type_name, seq_no);

-- J5: events are append-only. An operator lifts this for one session with
-- SET evented.allow_change = 'on'.
create function {schema}.refuse_change() returns trigger
language plpgsql as $body$
begin
  if current_setting('evented.allow_change', true) is distinct from 'on' then
    raise exception using
      errcode = 'EV005',
      message = 'events are append-only: ' || tg_op || ' is refused',
      hint = 'an operator can SET evented.allow_change = ''on'' first';
  end if;
  return null;
end
$body$;

create trigger event_is_append_only
  before update or delete or truncate on {schema}.event
  for each statement execute function {schema}.refuse_change();

-- Holds the frontier back until the calling transaction ends: every number
-- that it draws from now on is above the key of this lock. To be called outside
-- of any savepoint and before the first number is drawn.
create function {schema}.hold_frontier() returns void
language plpgsql volatile as $body$
begin
  perform pg_advisory_xact_lock_shared(
    {schema}.frontier_class(),
    (coalesce(pg_sequence_last_value('{schema}.event_seq_no_seq'::regclass), 0) & 2147483647)::integer);
end
$body$;

-- The first key of the frontier's locks: the oid of the event table, as the
-- signed int4 that the lock functions take.
create function {schema}.frontier_class() returns integer
language sql stable as $body$
  select (case when o > 2147483647 then o - 4294967296 else o end)::integer
  from (select '{schema}.event'::regclass::oid::bigint) as x (o)
$body$;

-- The highest number such that every event at or below it is visible to
-- statements that begin after this one, or will never be. The sequence is read
-- in one statement and the locks in a later one; that order is the proof: a
-- writer that takes its lock after the look at the locks draws a number above
-- the value read before.
create function {schema}.frontier() returns bigint
language plpgsql volatile as $body$
declare
  v_last   bigint;
  v_oldest bigint;
begin
  if pg_is_in_recovery() then
    raise exception using
      errcode = 'EV003',
      message = 'a standby does not see the locks of writers',
      hint = 'follow the journal on the primary';
  end if;
  v_last := coalesce(pg_sequence_last_value('{schema}.event_seq_no_seq'::regclass), 0);
  -- A key is the low 31 bits of a value at most 2^30 away from v_last.
  select min(((objid::bigint - v_last + 1073741824) % 2147483648
              + 2147483648) % 2147483648 - 1073741824)
    into v_oldest
    from pg_locks
   where locktype = 'advisory'
     and database = (select oid from pg_database
                      where datname = current_database())
     and classid = '{schema}.event'::regclass::oid
     and objsubid = 2
     and granted;
  return v_last + least(coalesce(v_oldest, 0), 0);
end
$body$;

-- Stores the events of many commands, or of none, in one go.
--
-- Rows come sorted by (type_name, entity_id, version). p_opens marks the first
-- row of each entity. p_last holds, for each command, the place of its last row,
-- and p_entity the entity that it belongs to, counted from 1.
--
-- All rows are inserted at once. Where that raises a unique or data error, the
-- first 64 commands are inserted one by one (more subtransactions would make
-- snapshots slow), so that a command fails alone, with the later ones of its
-- entity. outcome is null where everything was stored, else it holds for each
-- command 'stored', 'found' (an earlier attempt has stored it), 'conflict',
-- 'skipped', 'pending' or an SQLSTATE, and detail the text of that error. seq_nos
-- holds a number for each row that is in the journal.
--
-- The checks ask whether an entity is still at a version, and are answered in
-- current after everything was stored.
create function {schema}.append(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_name text[], p_schema_version integer[], p_append_id uuid[],
  p_payload {payload_wire}[], p_metadata text[], p_opens boolean[],
  p_last integer[], p_entity integer[],
  p_check_type text[], p_check_id {id_type}[], p_check_version bigint[],
  out seq_nos bigint[], out outcome text[], out detail text[],
  out current boolean[])
-- The journal grows faster than its statistics: never trust them to scan it.
language plpgsql volatile set enable_seqscan = off as $body$
declare
  v_from   integer := 1;
  v_failed integer := 0;
  v_tried  integer := 0;
  v_seq    bigint[];
  v_state  text;
  v_text   text;
begin
  if cardinality(p_last) > 0 then
    perform {schema}.hold_frontier();
    begin
      seq_nos := {schema}.insert_events(
        p_type, p_id, p_version, p_slice, p_name, p_schema_version,
        p_append_id, p_payload, p_metadata, p_opens);
    exception
      when unique_violation or data_exception or program_limit_exceeded
           or check_violation or not_null_violation or sqlstate 'EV002' then
        seq_nos := '{}';
        outcome := '{}';
        detail := '{}';
    end;
  end if;

  if outcome is not null then
    for i in 1 .. cardinality(p_last) loop
      v_seq := array_fill(0::bigint, array[p_last[i] - v_from + 1]);
      v_text := '';
      if p_entity[i] = v_failed then
        v_state := 'skipped';
      elsif v_tried >= 64 then
        v_state := 'pending';
      else
        v_tried := v_tried + 1;
        begin
          v_seq := {schema}.insert_events(
            p_type[v_from:p_last[i]], p_id[v_from:p_last[i]],
            p_version[v_from:p_last[i]], p_slice[v_from:p_last[i]],
            p_name[v_from:p_last[i]], p_schema_version[v_from:p_last[i]],
            p_append_id[v_from:p_last[i]], p_payload[v_from:p_last[i]],
            p_metadata[v_from:p_last[i]],
            array[true] || p_opens[v_from + 1:p_last[i]]);
          v_state := 'stored';
        exception
          when unique_violation then
            -- Its own append_id there: an earlier attempt, whose reply was
            -- lost, has stored it.
            select array_agg(seq_no order by version) into v_seq
              from {schema}.event
             where type_name = p_type[v_from] and entity_id = p_id[v_from]
               and version between p_version[v_from] and p_version[p_last[i]]
               and append_id = p_append_id[v_from];
            v_state := case when cardinality(v_seq) = p_last[i] - v_from + 1
                            then 'found' else 'conflict' end;
          when sqlstate 'EV002' then
            v_state := 'conflict';
          when data_exception or program_limit_exceeded or check_violation
               or not_null_violation then
            get stacked diagnostics v_state = returned_sqlstate,
                                    v_text = message_text;
        end;
        if v_state not in ('stored', 'found') then
          v_failed := p_entity[i];
          v_seq := array_fill(0::bigint, array[p_last[i] - v_from + 1]);
        end if;
      end if;
      seq_nos := seq_nos || v_seq;
      outcome := outcome || v_state;
      detail := detail || v_text;
      v_from := p_last[i] + 1;
    end loop;
  end if;

  if cardinality(p_check_type) > 0 then
    current := array(
      select coalesce((select max(e.version) from {schema}.event as e
                        where e.type_name = c.type_name
                          and e.entity_id = c.entity_id), 0) = c.version
        from unnest(p_check_type, p_check_id, p_check_version)
             with ordinality as c (type_name, entity_id, version, place)
       order by c.place);
  end if;
end
$body$;

-- Inserts rows as they come and returns their numbers. Raises EV002 where an
-- entity's first new version does not follow its last one: the memory of the
-- caller is ahead of the journal, as after a failover that lost commits.
create function {schema}.insert_events(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_name text[], p_schema_version integer[], p_append_id uuid[],
  p_payload {payload_wire}[], p_metadata text[], p_opens boolean[])
returns bigint[]
language plpgsql volatile as $body$
declare
  v_seq_nos bigint[];
begin
  with stored as (
    insert into {schema}.event
      (type_name, entity_id, version, slice, event_name, schema_version,
       append_id, event, metadata)
    select type_name, entity_id, version, slice, event_name, schema_version,
           append_id, payload::{payload_type}, metadata::jsonb
      from unnest(p_type, p_id, p_version, p_slice, p_name, p_schema_version,
                  p_append_id, p_payload, p_metadata)
           with ordinality as r (type_name, entity_id, version, slice,
                                 event_name, schema_version, append_id,
                                 payload, metadata, place)
     order by place
    returning seq_no)
  -- Numbers are drawn in the order of the rows, so theirs is the same.
  select array_agg(seq_no order by seq_no) into v_seq_nos from stored;

  perform
    from unnest(p_type, p_id, p_version, p_opens)
         as r (type_name, entity_id, version, opens)
   where r.opens and r.version > 1
     and (select true from {schema}.event as e
           where e.type_name = r.type_name and e.entity_id = r.entity_id
             and e.version = r.version - 1
           limit 1) is null;
  if found then
    raise exception using
      errcode = 'EV002',
      message = 'the version before the first new one is not in the journal';
  end if;
  return v_seq_nos;
end
$body$;

-- Moves the sequence to the highest number in use, where it is behind it, as
-- logical replication and partial restores leave it.
create function {schema}.repair_sequence() returns void
language plpgsql volatile set enable_seqscan = off as $body$
declare
  v_highest bigint;
begin
  v_highest := {schema}.highest_seq_no();
  if v_highest > coalesce(pg_sequence_last_value('{schema}.event_seq_no_seq'::regclass), 0) then
    lock table {schema}.event in exclusive mode;
    v_highest := {schema}.highest_seq_no();
    if v_highest > coalesce(pg_sequence_last_value('{schema}.event_seq_no_seq'::regclass), 0) then
      perform setval('{schema}.event_seq_no_seq'::regclass, v_highest);
    end if;
  end if;
end
$body$;

-- The highest number in the journal: one look at the index per entity type.
create function {schema}.highest_seq_no() returns bigint
language sql stable set enable_seqscan = off as $body$
  with recursive types as (
    select min(type_name) as type_name from {schema}.event
    union all
    select (select min(e.type_name) from {schema}.event as e
             where e.type_name > t.type_name)
      from types as t
     where t.type_name is not null)
  select coalesce(max((select max(e.seq_no) from {schema}.event as e
                        where e.type_name = t.type_name)), 0)
    from types as t
$body$;
