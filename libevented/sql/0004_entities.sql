-- What entities need that live for years: commands that are remembered by their
-- IDs, snapshots, the horizon below which events were trimmed, and messages
-- that go out after the commit.

-- The answers to commands that were sent with an ID. append_id tells which
-- attempt has written the row.
create table {schema}.command (
  type_name   text collate "C" not null,
  entity_id   {id_column} not null,
  command_id  text collate "C" not null,
  append_id   uuid not null,
  fingerprint bigint not null,
  outcome     text collate "C" not null check (outcome in ('accepted', 'rejected')),
  -- The entity's version after it, and the number of its last event, or 0.
  version     bigint not null,
  seq_no      bigint not null,
  reply_type  text collate "C" not null,
  reply       bytea not null,
  created_at  timestamptz not null default now(),
  primary key (type_name, entity_id, command_id)
);

create index command_by_age on {schema}.command (type_name, created_at);

create table {schema}.snapshot (
  type_name      text collate "C" not null,
  entity_id      {id_column} not null,
  version        bigint not null check (version > 0),
  schema_version integer not null check (schema_version > 0),
  created_at     timestamptz not null default now(),
  state          {payload_type} not null,
  primary key (type_name, entity_id, version)
);

create index snapshot_by_shape
  on {schema}.snapshot (type_name, schema_version);

-- The events of an entity up to this version were trimmed by an operator.
create table {schema}.horizon (
  type_name  text collate "C" not null,
  entity_id  {id_column} not null,
  version    bigint not null check (version > 0),
  archived   boolean not null default false,
  created_at timestamptz not null default now(),
  primary key (type_name, entity_id)
);

-- What goes out once the events of a command are durable, until it was
-- delivered. An entity's messages go out in the order of their IDs.
create table {schema}.outbox (
  id         bigint not null generated always as identity primary key,
  type_name  text collate "C" not null,
  entity_id  {id_column} not null,
  slice      smallint not null check (slice between 0 and 1023),
  version    bigint not null,
  append_id  uuid not null,
  target     text collate "C" not null,
  message    bytea not null,
  due_at     timestamptz not null,
  attempts   integer not null default 0
);

create index outbox_by_time on {schema}.outbox (due_at);

-- The version of an entity.
create function {schema}.current_version(p_type text, p_id {id_type})
returns bigint language sql stable as $body$
  select coalesce(
    (select max(e.version) from {schema}.event as e
      where e.type_name = p_type and e.entity_id = p_id),
    (select h.version from {schema}.horizon as h
      where h.type_name = p_type and h.entity_id = p_id),
    0)
$body$;

drop function {schema}.append(
  text[], {id_type}[], bigint[], smallint[], text[], integer[], uuid[],
  {payload_wire}[], text[], text[], boolean[], integer[], integer[], text[],
  {id_type}[], bigint[]);

-- Stores the events of many commands, or of none, in one go.
--
-- Rows come sorted by (type_name, entity_id, version). p_tags holds a row's tags
-- divided by line feeds, and is empty where no row has any. p_opens marks the
-- first row of each entity. p_last holds, for each command, the place of its
-- last row, and p_entity the entity that it belongs to, counted from 1.
--
-- The arrays p_step_* are as long as p_last, or empty where no command has an
-- ID. p_step_command_id is null for a command without one, p_step_outcome for
-- one whose answer is not to be remembered. Commands with an ID may have no
-- rows; p_step_proved says for those that a later command of the same call
-- shows that the entity is at p_step_after.
--
-- The arrays p_out_* hold messages for the outbox, p_out_step the command that
-- sends them, and p_out_due when, null for at once.
--
-- All rows are inserted at once. Where that raises a unique or data error, the
-- first 64 commands are inserted one by one (more subtransactions would make
-- snapshots slow), so that a command fails alone, with the later ones of its
-- entity. outcome is null where everything was stored, else it holds for each
-- command 'stored', 'found' (an earlier attempt has stored it), 'repeated' (a
-- command with this ID was stored before), 'conflict', 'skipped', 'pending' or
-- an SQLSTATE, and detail the text of that error, or what is remembered of the
-- repeated one. seq_nos holds a number for each row that is in the journal.
--
-- The checks ask whether an entity is still at a version, and are answered in
-- current after everything was stored.
create function {schema}.append(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_name text[], p_schema_version integer[], p_append_id uuid[],
  p_payload {payload_wire}[], p_metadata text[], p_tags text[],
  p_opens boolean[], p_last integer[], p_entity integer[],
  p_step_type text[], p_step_id {id_type}[], p_step_append_id uuid[],
  p_step_after bigint[], p_step_proved boolean[], p_step_command_id text[],
  p_step_fingerprint bigint[], p_step_outcome text[],
  p_step_reply_type text[], p_step_reply bytea[],
  p_out_step integer[], p_out_target text[], p_out_message bytea[],
  p_out_due timestamptz[],
  p_check_type text[], p_check_id {id_type}[], p_check_version bigint[],
  out seq_nos bigint[], out outcome text[], out detail text[],
  out current boolean[])
-- The journal grows faster than its statistics: never trust them to scan it.
language plpgsql volatile set enable_seqscan = off set jit = off as $body$
declare
  v_from   integer := 1;
  v_failed integer := 0;
  v_tried  integer := 0;
  v_seq    bigint[];
  v_state  text;
  v_text   text;
begin
  if cardinality(p_type) > 0 then
    perform {schema}.hold_frontier();
  end if;

  if cardinality(p_last) > 0 then
    begin
      seq_nos := {schema}.insert_events(
        p_type, p_id, p_version, p_slice, p_name, p_schema_version,
        p_append_id, p_payload, p_metadata, p_tags, p_opens);
      if cardinality(p_step_type) > 0 then
        perform {schema}.insert_commands(
          seq_nos, 1, p_last, p_step_type, p_step_id, p_step_append_id,
          p_step_after, p_step_proved, p_step_command_id, p_step_fingerprint,
          p_step_outcome, p_step_reply_type, p_step_reply);
      end if;
      if cardinality(p_out_step) > 0 then
        perform {schema}.insert_messages(
          p_type, p_id, p_version, p_slice, p_append_id, p_last, p_out_step,
          p_out_target, p_out_message, p_out_due);
      end if;
    exception
      when unique_violation or data_exception or program_limit_exceeded
           or check_violation or not_null_violation or sqlstate 'EV002'
           or sqlstate 'EV009' or sqlstate 'EV010' then
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
      elsif v_from > p_last[i] and p_step_outcome[i] is null
            and {schema}.holds_later(
                  i, p_entity, p_last, p_type, p_id, p_version, p_append_id,
                  p_step_type, p_step_id, p_step_append_id,
                  p_step_command_id) then
        -- It leaves no trace by which an earlier attempt could be known, but
        -- what was stored after it by that attempt shows that it held.
        v_state := 'found';
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
            p_metadata[v_from:p_last[i]], p_tags[v_from:p_last[i]],
            case when v_from > p_last[i] then '{}'::boolean[]
                 else array[true] || p_opens[v_from + 1:p_last[i]] end);
          if p_step_command_id[i] is not null then
            perform {schema}.insert_commands(
              v_seq, v_from, p_last[i:i], p_step_type[i:i], p_step_id[i:i],
              p_step_append_id[i:i], p_step_after[i:i], array[false],
              p_step_command_id[i:i], p_step_fingerprint[i:i],
              p_step_outcome[i:i], p_step_reply_type[i:i],
              p_step_reply[i:i]);
          end if;
          if i = any (p_out_step) then
            perform {schema}.insert_messages(
              p_type, p_id, p_version, p_slice, p_append_id, p_last,
              array_agg(step order by place), array_agg(target order by place),
              array_agg(message order by place), array_agg(due order by place))
              from unnest(p_out_step, p_out_target, p_out_message, p_out_due)
                   with ordinality as o (step, target, message, due, place)
             where step = i;
          end if;
          v_state := 'stored';
        exception
          when unique_violation or sqlstate 'EV010' or sqlstate 'EV002'
               or sqlstate 'EV009' then
            -- Its own append_id there: an earlier attempt, whose reply was
            -- lost, has stored it.
            v_state := 'conflict';
            if p_step_command_id[i] is not null then
              select case when c.append_id = p_step_append_id[i] then 'found'
                          else 'repeated' end,
                     concat_ws(',', c.fingerprint, c.version, c.seq_no,
                               c.outcome, encode(c.reply, 'hex'),
                               c.reply_type)
                into v_state, v_text
                from {schema}.command as c
               where c.type_name = p_step_type[i]
                 and c.entity_id = p_step_id[i]
                 and c.command_id = p_step_command_id[i];
              v_state := coalesce(v_state, 'conflict');
              v_text := coalesce(v_text, '');
            end if;
            if v_state <> 'repeated' and v_from <= p_last[i] then
              select array_agg(seq_no order by version) into v_seq
                from {schema}.event
               where type_name = p_type[v_from] and entity_id = p_id[v_from]
                 and version between p_version[v_from] and p_version[p_last[i]]
                 and append_id = p_append_id[v_from];
              v_state := case when cardinality(v_seq) = p_last[i] - v_from + 1
                              then 'found' else 'conflict' end;
            end if;
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
    -- As in current_version(), which costs three times as much as a call.
    current := array(
      select coalesce(
               (select max(e.version) from {schema}.event as e
                 where e.type_name = c.type_name and e.entity_id = c.entity_id),
               (select h.version from {schema}.horizon as h
                 where h.type_name = c.type_name and h.entity_id = c.entity_id),
               0) = c.version
        from unnest(p_check_type, p_check_id, p_check_version)
             with ordinality as c (type_name, entity_id, version, place)
       order by c.place);
  end if;
end
$body$;

-- Returns whether a later command of the same entity as command p_step was stored
-- by an earlier attempt of this call, whose reply was lost.
create function {schema}.holds_later(
  p_step integer, p_entity integer[], p_last integer[], p_type text[],
  p_id {id_type}[], p_version bigint[], p_append_id uuid[], p_step_type text[],
  p_step_id {id_type}[], p_step_append_id uuid[], p_step_command_id text[])
returns boolean
language sql stable as $body$
  select exists (
    select from generate_series(p_step + 1, cardinality(p_last)) as i
     where p_entity[i] = p_entity[p_step]
       and (exists (
              select from {schema}.event as e
               where p_last[i] > p_last[i - 1]
                 and e.type_name = p_type[p_last[i]]
                 and e.entity_id = p_id[p_last[i]]
                 and e.version = p_version[p_last[i]]
                 and e.append_id = p_append_id[p_last[i]])
            or exists (
              select from {schema}.command as c
               where c.type_name = p_step_type[i]
                 and c.entity_id = p_step_id[i]
                 and c.command_id = p_step_command_id[i]
                 and c.append_id = p_step_append_id[i])))
$body$;

-- As before, but the version before the first new one may have been trimmed.
-- What lies below the horizon raises EV002 too, and so does everything of an
-- archived entity.
create or replace function {schema}.insert_events(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_name text[], p_schema_version integer[], p_append_id uuid[],
  p_payload {payload_wire}[], p_metadata text[], p_tags text[],
  p_opens boolean[])
returns bigint[]
language plpgsql volatile as $body$
declare
  v_seq_nos bigint[];
begin
  if cardinality(p_type) = 0 then
    return '{}';
  end if;
  with stored as (
    insert into {schema}.event
      (type_name, entity_id, version, slice, event_name, schema_version,
       append_id, event, metadata, tags)
    select type_name, entity_id, version, slice, event_name, schema_version,
           append_id, payload::{payload_type}, metadata::jsonb,
           string_to_array(tags, chr(10))
      from unnest(p_type, p_id, p_version, p_slice, p_name, p_schema_version,
                  p_append_id, p_payload, p_metadata, p_tags)
           with ordinality as r (type_name, entity_id, version, slice,
                                 event_name, schema_version, append_id,
                                 payload, metadata, tags, place)
     order by place
    returning seq_no)
  -- Numbers are drawn in the order of the rows, so theirs is the same.
  select array_agg(seq_no order by seq_no) into v_seq_nos from stored;

  if cardinality(p_tags) > 0 then
    insert into {schema}.event_tag (type_name, tag, seq_no)
    select distinct r.type_name, t.tag, r.seq_no
      from unnest(p_type, p_tags, v_seq_nos) as r (type_name, tags, seq_no)
     cross join lateral unnest(string_to_array(r.tags, chr(10))) as t (tag);
  end if;

  -- A first version needs nobody before it and no horizon; any other one needs
  -- its predecessor, in the journal or as the horizon itself.
  perform
    from unnest(p_type, p_id, p_version, p_opens)
         as r (type_name, entity_id, version, opens)
   where r.opens
     and (r.version = 1
          or (select true from {schema}.event as e
               where e.type_name = r.type_name and e.entity_id = r.entity_id
                 and e.version = r.version - 1
               limit 1) is null)
     and coalesce(
           (select case when h.archived then -1 else h.version end
              from {schema}.horizon as h
             where h.type_name = r.type_name and h.entity_id = r.entity_id
             limit 1), 0) <> r.version - 1;
  if found then
    raise exception using
      errcode = 'EV002',
      message = 'the version before the first new one is not in the journal';
  end if;
  return v_seq_nos;
end
$body$;

-- Remembers the answers to commands. p_from is the place of the first row of the
-- first one. Raises EV010 where a command with the ID of another one is there
-- already, and EV009 where a command without events rests on an entity that has
-- moved on.
create function {schema}.insert_commands(
  p_seq_nos bigint[], p_from integer, p_last integer[], p_type text[],
  p_id {id_type}[], p_append_id uuid[], p_after bigint[], p_proved boolean[],
  p_command_id text[], p_fingerprint bigint[], p_outcome text[],
  p_reply_type text[], p_reply bytea[])
returns void
language plpgsql volatile as $body$
begin
  -- Those that only ask: what others have stored is met by the insert below.
  perform
    from unnest(p_type, p_id, p_command_id, p_outcome)
         as c (type_name, entity_id, command_id, outcome)
   where c.command_id is not null and c.outcome is null
     and (select true from {schema}.command as x
           where x.type_name = c.type_name and x.entity_id = c.entity_id
             and x.command_id = c.command_id
           limit 1);
  if found then
    raise exception using
      errcode = 'EV010',
      message = 'a command with this ID was stored before';
  end if;

  insert into {schema}.command
    (type_name, entity_id, command_id, append_id, fingerprint, outcome, version,
     seq_no, reply_type, reply)
  select type_name, entity_id, command_id, append_id, fingerprint, outcome,
         after + (last - first + 1),
         case when last < first then 0
              else p_seq_nos[last - p_from + 1] end,
         reply_type, reply
    from (select *, coalesce(lag(last) over (order by place), p_from - 1) + 1
                    as first
            from unnest(p_last, p_type, p_id, p_append_id, p_after,
                        p_command_id, p_fingerprint, p_outcome, p_reply_type,
                        p_reply)
                 with ordinality as c (last, type_name, entity_id, append_id,
                                       after, command_id, fingerprint, outcome,
                                       reply_type, reply, place)) as c
   where command_id is not null and outcome is not null
   order by place;

  perform
    from (select *, coalesce(lag(last) over (order by place), p_from - 1) + 1
                    as first
            from unnest(p_last, p_type, p_id, p_after, p_proved, p_command_id)
                 with ordinality as c (last, type_name, entity_id, after, proved,
                                       command_id, place)) as c
   where command_id is not null and not proved and last < first
     and {schema}.current_version(type_name, entity_id) <> after;
  if found then
    raise exception using
      errcode = 'EV009',
      message = 'the entity has moved on';
  end if;
end
$body$;

-- Puts messages into the outbox.
create function {schema}.insert_messages(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_append_id uuid[], p_last integer[], p_step integer[], p_target text[],
  p_message bytea[], p_due timestamptz[])
returns void
language sql volatile as $body$
  insert into {schema}.outbox
    (type_name, entity_id, slice, version, append_id, target, message, due_at)
  select p_type[p_last[step]], p_id[p_last[step]], p_slice[p_last[step]],
         p_version[p_last[step]], p_append_id[p_last[step]], target, message,
         coalesce(due, now())
    from unnest(p_step, p_target, p_message, p_due)
         with ordinality as o (step, target, message, due, place)
   order by place
$body$;

-- Forgets remembered answers of an entity type that are older than p_age, at most
-- p_limit of them, and returns how many.
create function {schema}.forget_commands(
  p_type text, p_age interval, p_limit integer)
returns bigint
language sql volatile set enable_seqscan = off set jit = off as $body$
  with old as (
    select type_name, entity_id, command_id from {schema}.command
     where type_name = p_type and created_at < now() - p_age
     order by created_at
     limit p_limit
     for update skip locked),
  gone as (
    delete from {schema}.command as c using old as o
     where c.type_name = o.type_name and c.entity_id = o.entity_id
       and c.command_id = o.command_id
    returning 1)
  select count(*) from gone
$body$;

-- Stores snapshots, and of each entity only the newest p_keep. One whose event
-- is not in the journal is left out: the memory that it comes from is ahead of
-- the journal, or another event has taken that version after a failover.
create function {schema}.save_snapshots(
  p_type text[], p_id {id_type}[], p_version bigint[], p_seq_no bigint[],
  p_schema_version integer[], p_state {payload_wire}[], p_keep integer)
returns void
language plpgsql volatile set enable_seqscan = off set jit = off as $body$
begin
  insert into {schema}.snapshot
    (type_name, entity_id, version, schema_version, state)
  select type_name, entity_id, version, schema_version, state::{payload_type}
    from unnest(p_type, p_id, p_version, p_seq_no, p_schema_version, p_state)
         as s (type_name, entity_id, version, seq_no, schema_version, state)
   where exists (select from {schema}.event as e
                  where e.type_name = s.type_name and e.entity_id = s.entity_id
                    and e.version = s.version and e.seq_no = s.seq_no)
   order by type_name, entity_id, version
  on conflict (type_name, entity_id, version) do update
     set schema_version = excluded.schema_version, state = excluded.state,
         created_at = excluded.created_at
   where snapshot.schema_version <= excluded.schema_version;

  delete from {schema}.snapshot as s
   using (select distinct type_name, entity_id
            from unnest(p_type, p_id) as r (type_name, entity_id)) as r
   where s.type_name = r.type_name and s.entity_id = r.entity_id
     and s.version < (select x.version from {schema}.snapshot as x
                       where x.type_name = r.type_name
                         and x.entity_id = r.entity_id
                       order by x.version desc
                       offset p_keep - 1 limit 1);
end
$body$;

-- The shapes of an entity type's snapshots: one look at the index each.
create function {schema}.snapshot_shapes(p_type text) returns setof integer
language sql stable set enable_seqscan = off set jit = off as $body$
  with recursive shapes as (
    select min(schema_version) as shape from {schema}.snapshot
     where type_name = p_type
    union all
    select (select min(x.schema_version) from {schema}.snapshot as x
             where x.type_name = p_type and x.schema_version > s.shape)
      from shapes as s
     where s.shape is not null)
  select shape from shapes where shape is not null
$body$;

-- Trims the events of an entity up to the version of one of its snapshots, which
-- the caller has verified. For operators.
create function {schema}.trim_entity(
  p_type text, p_id {id_type}, p_version bigint)
returns bigint
language plpgsql volatile set enable_seqscan = off set jit = off as $body$
declare
  v_count bigint;
begin
  perform from {schema}.snapshot
    where type_name = p_type and entity_id = p_id and version >= p_version;
  if not found then
    raise exception using
      errcode = 'EV007',
      message = 'there is no snapshot of this entity at or above version '
                || p_version;
  end if;
  insert into {schema}.horizon (type_name, entity_id, version)
  values (p_type, p_id, p_version)
  on conflict (type_name, entity_id) do update
     set version = excluded.version, created_at = excluded.created_at
   where horizon.version < excluded.version;
  perform set_config('evented.allow_change', 'on', true);
  delete from {schema}.event_tag as t using {schema}.event as e
   where e.type_name = p_type and e.entity_id = p_id and e.version <= p_version
     and t.type_name = e.type_name and t.tag = any (e.tags)
     and t.seq_no = e.seq_no;
  delete from {schema}.event
   where type_name = p_type and entity_id = p_id and version <= p_version;
  get diagnostics v_count = row_count;
  perform set_config('evented.allow_change', 'off', true);
  return v_count;
end
$body$;
