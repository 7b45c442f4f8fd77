-- Looks for the version before a new one on the way into the table: the index
-- page that this reads is the one that the new row goes to. Afterwards, the batch
-- had pushed it out of the processor's cache.
--
-- And looks for versions in the order of the primary key only. Programs keep
-- their plans for as long as they run; one that was made for an empty table may
-- prefer any index and a sort, and read all events of a type when there are some.

-- As before: a first version needs nobody before it and no horizon; any other one
-- needs its predecessor, in the journal or as the horizon itself. Else EV002 is
-- raised, also for what lies below the horizon and for all of an archived entity.
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
  -- The statement takes the table's lock before its snapshot, so an entity that
  -- is archived while it waits for that lock is seen to be.
  with stored as (
    insert into {schema}.event
      (type_name, entity_id, version, slice, event_name, schema_version,
       append_id, event, metadata, tags)
    select type_name, entity_id, version, slice, event_name, schema_version,
           append_id, payload::{payload_type}, metadata::jsonb,
           string_to_array(tags, chr(10))
      from unnest(p_type, p_id, p_version, p_slice, p_name, p_schema_version,
                  p_append_id, p_payload, p_metadata, p_tags, p_opens)
           with ordinality as r (type_name, entity_id, version, slice,
                                 event_name, schema_version, append_id,
                                 payload, metadata, tags, opens, place)
     -- In this order, which only CASE promises. EXISTS could be planned as a
     -- hash of the whole table.
     where case
             when not r.opens then true
             when r.version > 1
                  and (select true from {schema}.event as e
                        where e.type_name = r.type_name
                          and e.entity_id = r.entity_id
                          and e.version >= r.version - 1
                          and e.version < r.version
                        order by e.version limit 1) then true
             else coalesce(
               (select case when h.archived then -1 else h.version end
                  from {schema}.horizon as h
                 where h.type_name = r.type_name
                   and h.entity_id = r.entity_id), 0) = r.version - 1
           end
     order by place
    returning seq_no)
  -- Numbers are drawn in the order of the rows, so theirs is the same.
  select array_agg(seq_no order by seq_no) into v_seq_nos from stored;

  if cardinality(v_seq_nos) is distinct from cardinality(p_type) then
    raise exception using
      errcode = 'EV002',
      message = 'the version before the first new one is not in the journal';
  end if;

  if cardinality(p_tags) > 0 then
    insert into {schema}.event_tag (type_name, tag, seq_no)
    select distinct r.type_name, t.tag, r.seq_no
      from unnest(p_type, p_tags, v_seq_nos) as r (type_name, tags, seq_no)
     cross join lateral unnest(string_to_array(r.tags, chr(10))) as t (tag);
  end if;
  return v_seq_nos;
end
$body$;

-- As before.
create or replace function {schema}.current_version(
  p_type text, p_id {id_type})
returns bigint language sql stable as $body$
  select coalesce(
    (select e.version from {schema}.event as e
      where e.type_name = p_type and e.entity_id = p_id
      order by e.version desc limit 1),
    (select h.version from {schema}.horizon as h
      where h.type_name = p_type and h.entity_id = p_id),
    0)
$body$;

-- Returns which entities are still at a version: a part of append.
create or replace function {schema}.are_current(
  p_type text[], p_id {id_type}[], p_version bigint[])
returns boolean[]
language plpgsql volatile as $body$
begin
  -- As in current_version(), which costs three times as much as a call.
  return array(
    select coalesce(
             (select e.version from {schema}.event as e
               where e.type_name = c.type_name and e.entity_id = c.entity_id
               order by e.version desc limit 1),
             (select h.version from {schema}.horizon as h
               where h.type_name = c.type_name and h.entity_id = c.entity_id),
             0) = c.version
      from unnest(p_type, p_id, p_version)
           with ordinality as c (type_name, entity_id, version, place)
     order by c.place);
end
$body$;

-- As before, with are_current.
--
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
create or replace function {schema}.append(
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
language plpgsql volatile set enable_seqscan = off set enable_sort = off
set jit = off
-- Small batches look cheaper than the plan for all of them, and would be planned
-- each time, for longer than they take.
set plan_cache_mode = force_generic_plan as $body$
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
    current := {schema}.are_current(p_check_type, p_check_id, p_check_version);
  end if;
end
$body$;
