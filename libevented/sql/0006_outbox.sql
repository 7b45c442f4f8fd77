-- Delivery of what waits in the outbox, by whichever process is there: a message
-- is claimed for some time, and deleted once its receiver has acknowledged it.
--
-- The messages of one entity to one target go out in order: those without a time
-- first, in the order of their commits, then by their times.

alter table {schema}.outbox
  -- Who works on it until when; after a failed attempt, when to try again.
  add column claim uuid,
  add column claimed_until timestamptz not null default '-infinity',
  add column created_at timestamptz not null default now();

drop index {schema}.outbox_by_time;

create index outbox_in_order on {schema}.outbox (type_name, target, due_at, id);

create index outbox_by_entity
  on {schema}.outbox (type_name, entity_id, target, due_at, id);

-- As before, but what is due at once has no time at all: a clock that was set
-- back must not change the order.
create or replace function {schema}.insert_messages(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_append_id uuid[], p_last integer[], p_step integer[], p_target text[],
  p_message bytea[], p_due timestamptz[])
returns void
language sql volatile as $body$
  insert into {schema}.outbox
    (type_name, entity_id, slice, version, append_id, target, message, due_at)
  select p_type[p_last[step]], p_id[p_last[step]], p_slice[p_last[step]],
         p_version[p_last[step]], p_append_id[p_last[step]], target, message,
         coalesce(due, '-infinity')
    from unnest(p_step, p_target, p_message, p_due)
         with ordinality as o (step, target, message, due, place)
   order by place
$body$;

-- Claims messages of an entity type to these targets that are due, that nobody
-- works on, and that no other one of the same entity and target goes before.
create function {schema}.claim_messages(
  p_type text, p_targets text[], p_claim uuid, p_lease interval,
  p_limit integer)
returns setof {schema}.outbox
-- The outbox is empty most of the time, and statistics say so when it is not.
language sql volatile set enable_seqscan = off set jit = off as $body$
  with free as materialized (
    select o.id
      from unnest(p_targets) as t (name)
     cross join lateral (
       select x.id, x.due_at
         from {schema}.outbox as x
        where x.type_name = p_type and x.target = t.name
          and x.due_at <= now() and x.claimed_until <= now()
          and not exists (
            select from {schema}.outbox as e
             where e.type_name = x.type_name and e.entity_id = x.entity_id
               and e.target = x.target and (e.due_at, e.id) < (x.due_at, x.id))
        order by x.due_at, x.id
        limit p_limit
          for update skip locked) as o
     order by o.due_at, o.id
     limit p_limit)
  update {schema}.outbox as o
     set claim = p_claim, claimed_until = now() + p_lease
    from free
   where o.id = free.id
  returning o.*
$body$;

-- Returns after how many milliseconds the next message to these targets falls
-- due, a day at most; null where there is none that is not due yet.
create function {schema}.next_message(p_type text, p_targets text[])
returns bigint
language sql stable set enable_seqscan = off set jit = off as $body$
  select ceil(1000 * least(extract(epoch from first.due_at - clock_timestamp()),
                           86400))::bigint
    from (select min(o.due_at) as due_at
            from unnest(p_targets) as t (name)
           cross join lateral (
             select x.due_at from {schema}.outbox as x
              where x.type_name = p_type and x.target = t.name
                and x.due_at > now()
              order by x.due_at
              limit 1) as o) as first
   where first.due_at is not null
$body$;

-- Deletes messages that their receivers have acknowledged, unless somebody else
-- has claimed them meanwhile.
create function {schema}.complete_messages(p_id bigint[], p_claim uuid[])
returns void
language sql volatile set enable_seqscan = off set jit = off as $body$
  delete from {schema}.outbox as o
   using unnest(p_id, p_claim) as d (id, claim)
   where o.id = d.id and o.claim = d.claim
$body$;

-- Gives claimed messages back for another attempt after so many milliseconds,
-- unless somebody else has claimed them meanwhile.
create function {schema}.postpone_messages(
  p_id bigint[], p_claim uuid[], p_delay bigint[], p_failed boolean[])
returns void
language sql volatile set enable_seqscan = off set jit = off as $body$
  update {schema}.outbox as o
     set claim = null,
         claimed_until = now() + d.delay * interval '1 millisecond',
         attempts = attempts + d.failed::integer
    from unnest(p_id, p_claim, p_delay, p_failed) as d (id, claim, delay, failed)
   where o.id = d.id and o.claim = d.claim
$body$;

-- Returns the targets for which messages of an entity type wait.
create function {schema}.waiting_targets(p_type text)
returns setof text
language sql stable set enable_seqscan = off set jit = off as $body$
  with recursive t (name) as (
    (select target from {schema}.outbox
      where type_name = p_type
      order by target
      limit 1)
    union all
    select (select o.target from {schema}.outbox as o
             where o.type_name = p_type and o.target > t.name
             order by o.target
             limit 1)
      from t
     where t.name is not null)
  select name from t where name is not null
$body$;
