-- One event alone, as it comes where little is going on: it needs no arrays, no
-- sub-block and no plan over rows.

-- As before, but as an expression that PostgreSQL computes once per plan. As a
-- query, it took longer than all else that a small append does for the frontier.
create or replace function {schema}.frontier_class() returns integer
language sql stable as $body$
  select ('{schema}.event'::regclass::oid::bigint)::bit(32)::integer
$body$;

-- Stores one event and returns its number, or nothing where that cannot be done:
-- append tells why, and what became of it.
create function {schema}.append_event(
  p_type text, p_id {id_type}, p_version bigint, p_slice smallint, p_name text,
  p_schema_version integer, p_append_id uuid, p_payload {payload_wire},
  p_metadata text)
returns bigint
-- The journal grows faster than its statistics: never trust them to scan it, nor
-- to prefer another index than the primary key's.
language plpgsql volatile set enable_seqscan = off set enable_sort = off
set jit = off as $body$
declare
  v_seq_no bigint;
begin
  -- Outside of the sub-block, whose end by an error would release the lock.
  perform {schema}.hold_frontier();

  begin
    insert into {schema}.event
      (type_name, entity_id, version, slice, event_name, schema_version,
       append_id, event, metadata)
    values
      (p_type, p_id, p_version, p_slice, p_name, p_schema_version, p_append_id,
       p_payload::{payload_type}, p_metadata::jsonb)
    returning seq_no into v_seq_no;

    -- As in insert_events, but after the insert: whoever archives the entity has
    -- to wait for the lock that this has on the table.
    if p_version > 1 then
      perform from {schema}.event as e
        where e.type_name = p_type and e.entity_id = p_id
          and e.version >= p_version - 1 and e.version < p_version
        order by e.version limit 1;
      if found then
        return v_seq_no;
      end if;
    end if;
    if coalesce((select case when h.archived then -1 else h.version end
                   from {schema}.horizon as h
                  where h.type_name = p_type and h.entity_id = p_id), 0)
       = p_version - 1 then
      return v_seq_no;
    end if;
    raise exception using errcode = 'EV002';
  exception
    when unique_violation or data_exception or program_limit_exceeded
         or check_violation or not_null_violation or sqlstate 'EV002' then
      return null;
  end;
end
$body$;
