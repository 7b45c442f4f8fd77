-- Claims that cost what they claim, not what waits.
--
-- A lane is what an entity sends to one target, in the order of (due_at, id).
-- Only its first message can be claimed. To find those of all lanes without
-- looking at what waits behind them, rows carry a mark:
--
--   L1  The first committed message of a lane has the mark `head`.
--
-- Others may have it too. A claim that meets such a one takes the mark away, so
-- a message is looked at once, and then not until those before it are gone. Why
-- L1 holds, whatever runs at once:
--
--  * An insert marks all but those that follow an insert of the same command. It
--    looks at nobody else's rows, and waits for nobody.
--  * A claim takes the mark from a message while it holds a key-share lock on one
--    before it. Whoever deletes that one has to wait until this is committed,
--    and then sees it. What is being deleted is skipped, as is what another claim
--    looks at: a claim never waits.
--  * A delete, the operator's too, marks the first message that is left. It looks
--    for that one in a statement that begins after its rows are deleted, so it
--    sees what a claim has done that had locked one of them. It takes a key-share
--    lock on what it finds. Where somebody else is deleting that one, it waits,
--    and goes on to the next one; whoever deletes it later has to wait, and then
--    finds what is left himself.
--  * Where a message is left before all those that were deleted, a delete marks
--    nothing: that one has the mark, and if somebody is deleting it, he will look
--    as well. So nobody waits for a message before his own, and two who delete
--    from a lane do not wait for each other.
--  * All of this wants statements that see what was committed before they began,
--    and places that do not change. Two triggers see to that.

alter table {schema}.outbox add column head boolean not null default true;

drop index {schema}.outbox_in_order;

-- By when they may be claimed.
create index outbox_heads
  on {schema}.outbox (type_name, target, greatest(due_at, claimed_until), id)
  where head;

create index outbox_timers on {schema}.outbox (type_name, target, due_at)
  where due_at > '-infinity';

-- The name of a timer, which an entity has once.
alter table {schema}.outbox add column timer text collate "C";

create unique index outbox_by_timer
  on {schema}.outbox (type_name, entity_id, timer) where timer is not null;

-- A target that begins with a line feed is the name of a timer behind it: it
-- takes the place of what the entity has under this name, with a null message
-- it only takes that away. The later one of the same name counts. Nobody else
-- sets or takes away the timers of an entity meanwhile, since its next event is
-- inserted before them.
create or replace function {schema}.insert_messages(
  p_type text[], p_id {id_type}[], p_version bigint[], p_slice smallint[],
  p_append_id uuid[], p_last integer[], p_step integer[], p_target text[],
  p_message bytea[], p_due timestamptz[])
returns void
language plpgsql volatile as $body$
declare
  v_timer text[];
  v_gone  bigint[];
begin
  if position(chr(10) in array_to_string(p_target, '')) > 0 then
    v_gone := array(
      select old.id
        from (select distinct p_type[p_last[step]] as type_name,
                     p_id[p_last[step]] as entity_id,
                     substr(target, 2) as timer
                from unnest(p_step, p_target) as o (step, target)
               where starts_with(target, chr(10))) as o
       cross join lateral (
         select x.id from {schema}.outbox as x
          where x.type_name = o.type_name and x.entity_id = o.entity_id
            and x.timer = o.timer
          limit 1) as old
       order by old.id);
    if v_gone <> '{}' then
      delete from {schema}.outbox where id = any (v_gone);
    end if;

    select array_agg(step order by place),
           array_agg(case when timer is null then target else '' end
                     order by place),
           array_agg(message order by place), array_agg(due order by place),
           array_agg(timer order by place)
      into p_step, p_target, p_message, p_due, v_timer
      from (select *, timer is not null and place < max(place) over (
                     partition by p_type[p_last[step]], p_id[p_last[step]],
                                  timer) as superseded
              from (select *, case when starts_with(target, chr(10))
                                   then substr(target, 2) end as timer
                      from unnest(p_step, p_target, p_message, p_due)
                           with ordinality
                           as o (step, target, message, due, place)) as o) as o
     where message is not null and not superseded;
  end if;

  insert into {schema}.outbox
    (type_name, entity_id, slice, version, append_id, target, message, due_at,
     timer, head)
  select p_type[p_last[step]], p_id[p_last[step]], p_slice[p_last[step]],
         p_version[p_last[step]], p_append_id[p_last[step]], target, message,
         coalesce(due, '-infinity'), timer,
         -- Of a command without times, the first one to each target.
         due is not null
         or row_number() over (partition by step, target, due order by place) = 1
    from unnest(p_step, p_target, p_message, p_due, v_timer)
         with ordinality as o (step, target, message, due, timer, place)
   order by place;
end
$body$;

-- Claims messages of an entity type to these targets that are due, that nobody
-- works on, and that no other one of the same entity and target goes before. A
-- row without an ID at the end says that there is more to look at, at once.
create or replace function {schema}.claim_messages(
  p_type text, p_targets text[], p_claim uuid, p_lease interval,
  p_limit integer)
returns setof {schema}.outbox
-- The outbox is empty most of the time, and statistics say so when it is not.
language plpgsql volatile
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set jit = off
as $body$
declare
  v_look    integer := p_limit;
  v_claimed bigint[] := '{}';
  v_first   bigint[];
  v_later   bigint[];
  v_count   integer := 0;
  v_more    {schema}.outbox;
begin
  loop
    with seen as materialized (
      select x.*
        from unnest(p_targets) as t (name)
        -- What is due at once has no time, and would go before all others. So
        -- those that wait for another attempt, and timers, have a share of
        -- their own.
       cross join (values ('-infinity'::timestamptz, '-infinity'::timestamptz),
                          ('4714-11-24 00:00:00+00 BC', now()))
                  as span (low, high)
       cross join lateral (
         select o.id, o.entity_id, o.target, o.due_at
           from {schema}.outbox as o
          where o.type_name = p_type and o.target = t.name and o.head
            and greatest(o.due_at, o.claimed_until)
                between span.low and span.high
          order by greatest(o.due_at, o.claimed_until), o.id
          limit v_look
            for no key update skip locked) as x),
    placed as materialized (
      select s.*, exists (
               select from {schema}.outbox as e
                where e.type_name = p_type and e.entity_id = s.entity_id
                  and e.target = s.target
                  and (e.due_at, e.id) < (s.due_at, s.id)) as late
        from seen as s)
    select coalesce(array_agg(p.id order by p.id) filter (where not p.late),
                    '{}'),
           coalesce(array_agg(p.id) filter (where p.late and exists (
             select from (
               select from {schema}.outbox as e
                where e.type_name = p_type and e.entity_id = p.entity_id
                  and e.target = p.target
                  and (e.due_at, e.id) < (p.due_at, p.id)
                order by e.due_at, e.id
                limit 1
                  for key share skip locked) as held)), '{}')
      into v_first, v_later
      from placed as p;

    v_first := v_first[1:p_limit - cardinality(v_claimed)];
    update {schema}.outbox
       set claim = p_claim, claimed_until = now() + p_lease
     where id = any (v_first);
    update {schema}.outbox set head = false where id = any (v_later);

    v_claimed := v_claimed || v_first;
    v_count := v_count + cardinality(v_later);
    exit when cardinality(v_claimed) >= p_limit or cardinality(v_later) = 0
              or v_count >= 2000;
    v_look := least(4 * v_look, 1000);
  end loop;

  return query select * from {schema}.outbox where id = any (v_claimed);
  if v_count >= 2000 then
    return next v_more;
  end if;
end
$body$;

create or replace function {schema}.next_message(p_type text, p_targets text[])
returns bigint
language sql stable
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set jit = off
as $body$
  select ceil(1000 * least(extract(epoch from first.due_at - clock_timestamp()),
                           86400))::bigint
    from (select min(o.due_at) as due_at
            from unnest(p_targets) as t (name)
           cross join lateral (
             select x.due_at from {schema}.outbox as x
              where x.type_name = p_type and x.target = t.name
                and x.due_at > now() and x.due_at > '-infinity'
              order by x.due_at
              limit 1) as o) as first
   where first.due_at is not null
$body$;

create or replace function {schema}.waiting_targets(p_type text)
returns setof text
language sql stable
set enable_seqscan = off set enable_bitmapscan = off set enable_sort = off
set jit = off
as $body$
  with recursive t (name) as (
    (select target from {schema}.outbox
      where type_name = p_type and head
      order by target
      limit 1)
    union all
    select (select o.target from {schema}.outbox as o
             where o.type_name = p_type and o.target > t.name and o.head
             order by o.target
             limit 1)
      from t
     where t.name is not null)
  select name from t where name is not null
$body$;

-- Marks what comes next where messages are deleted, see L1.
create function {schema}.mark_heads() returns trigger
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
  next as materialized (
    select n.id
      from gone_first as g
     cross join lateral (
       select x.id
         from {schema}.outbox as x
        where x.type_name = g.type_name and x.entity_id = g.entity_id
          and x.target = g.target
          and not exists (
            select from {schema}.outbox as e
             where e.type_name = g.type_name and e.entity_id = g.entity_id
               and e.target = g.target and (e.due_at, e.id) < (g.due_at, g.id))
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

create trigger mark_heads after delete on {schema}.outbox
  referencing old table as gone
  for each statement execute function {schema}.mark_heads();

-- Keeps messages where they are in their lane, see L1.
create function {schema}.keep_place() returns trigger
language plpgsql as $body$
begin
  raise exception using
    errcode = 'EV012',
    message = 'the place of a message in the outbox cannot be changed',
    hint = 'delete it';
end
$body$;

create trigger keep_place
  before update of id, type_name, entity_id, target, due_at on {schema}.outbox
  for each statement execute function {schema}.keep_place();
