-- Marks of the outbox: what L1 of the migration outbox_lanes rests on.
--
-- A delete marked nothing where it saw a message before its own: if somebody was
-- deleting that one, he would look as well. But he may have looked already, and a
-- message that has come since then, whose mark a claim has taken away because of the
-- one that is deleted now, was found by nobody any more. So:
--
--  * A delete marks nothing only where it holds a key-share lock on a message before
--    those that it deletes. Whoever deletes that one has to wait until this is
--    committed, and then sees what is left. What is being deleted is skipped: nobody
--    waits for a message before his own.
--  * Else it marks the first message that is left behind its own, as before. One mark
--    too many does no harm.
--
-- Two that delete several messages of a lane at once, each one that is among those of
-- the other, may wait for each other now. PostgreSQL ends one of them, of which nothing
-- is done then. And a claim may wait after all, where it has to follow a message to a
-- version that somebody has just written.
create or replace function {schema}.mark_heads() returns trigger
language plpgsql volatile
set enable_seqscan = off set enable_bitmapscan = off set jit = off
as $body$
begin
  if current_setting('transaction_isolation') <> 'read committed' then
    raise exception using
      errcode = 'EV011',
      message = 'messages can only be deleted at isolation level read '
                || 'committed';
  end if;
  with gone_first as materialized (
    select distinct on (type_name, entity_id, target)
           type_name, entity_id, target, due_at, id
      from gone
     order by type_name, entity_id, target, due_at, id),
  first as materialized (
    select g.*
      from gone_first as g
     where not exists (
       select from (
         select from {schema}.outbox as e
          where e.type_name = g.type_name and e.entity_id = g.entity_id
            and e.target = g.target and (e.due_at, e.id) < (g.due_at, g.id)
          order by e.due_at, e.id
          limit 1
            for key share skip locked) as held)),
  next as materialized (
    select n.id
      from first as g
     cross join lateral (
       select x.id
         from {schema}.outbox as x
        where x.type_name = g.type_name and x.entity_id = g.entity_id
          and x.target = g.target and (x.due_at, x.id) > (g.due_at, g.id)
        order by x.due_at, x.id
        limit 1
          for key share) as n)
  -- Also where this statement sees the mark: it may have waited above, and a
  -- claim has taken the mark meanwhile.
  update {schema}.outbox as o
     set head = true
    from next as n
   where o.id = n.id;
  return null;
end
$body$;
