-- Tags: texts that an application gives to events, for readers that want some
-- of a type's events only. They stand with the event, and once more in a table
-- that is read in the order of seq_no.

alter table {schema}.event add column tags text[];

create table {schema}.event_tag (
  type_name text collate "C" not null,
  tag       text collate "C" not null,
  seq_no    bigint not null,
  primary key (type_name, tag, seq_no)
);

create trigger event_tag_is_append_only
  before update or delete or truncate on {schema}.event_tag
  for each statement execute function {schema}.refuse_change();

drop function {schema}.append(
  text[], {id_type}[], bigint[], smallint[], text[], integer[], uuid[],
  {payload_wire}[], text[], boolean[], integer[], integer[], text[],
  {id_type}[], bigint[]);

drop function {schema}.insert_events(
  text[], {id_type}[], bigint[], smallint[], text[], integer[], uuid[],
  {payload_wire}[], text[], boolean[]);

-- Stores the events of many commands, or of none, in one go.
--
-- Rows come sorted by (type_name, entity_id, version). p_tags holds a row's tags
-- divided by line feeds, and is empty where no row has any. p_opens marks the
-- first row of each entity. p_last holds, for each command, the place of its
-- last row, and p_entity the entity that it belongs to, counted from 1.
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
  p_payload {payload_wire}[], p_metadata text[], p_tags text[],
  p_opens boolean[], p_last integer[], p_entity integer[],
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
        p_append_id, p_payload, p_metadata, p_tags, p_opens);
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
            p_metadata[v_from:p_last[i]], p_tags[v_from:p_last[i]],
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
  p_payload {payload_wire}[], p_metadata text[], p_tags text[],
  p_opens boolean[])
returns bigint[]
language plpgsql volatile as $body$
declare
  v_seq_nos bigint[];
begin
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
