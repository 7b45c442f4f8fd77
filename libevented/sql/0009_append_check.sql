-- Looks for the version before a new one on the way into the table: the index
-- page that this reads is the one that the new row goes to. Afterwards, the batch
-- had pushed it out of the processor's cache.

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
     -- In this order, which only CASE promises.
     where case
             when not r.opens then true
             when r.version > 1 and exists (
               select from {schema}.event as e
                where e.type_name = r.type_name and e.entity_id = r.entity_id
                  and e.version = r.version - 1) then true
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
