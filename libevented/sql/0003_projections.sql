-- Projections: who runs them, how far they are, and what they could not handle.
--
-- P1  A handler's writes and the checkpoint that covers them are committed
--     together, by whoever holds the range at its current epoch.
-- P2  A checkpoint never moves back, except by reset_projection.
-- P3  Whatever changes a range from outside draws a new epoch for it, so a
--     handler transaction that is under way cannot commit.
--
-- Locks are taken in the order projection, projection_range.

-- Epochs are unique for ever, so that one of a range that was split, merged or
-- built anew is never taken for another's.
create sequence {schema}.projection_epoch;

-- A projection actor in some process. While alive_until is in the future, what
-- it owns is its own. Times are the database's.
create table {schema}.runner (
  id          uuid primary key,
  host        text not null,
  started_at  timestamptz not null default clock_timestamp(),
  alive_until timestamptz not null
) with (fillfactor = 50);

create table {schema}.projection (
  name       text collate "C" primary key,
  -- The version of its view that is live, and the one that is built beside it.
  version    integer not null default 1 check (version > 0),
  building   integer check (building > version),
  paused     boolean not null default false,
  -- Where it began: events at or below the number or before the time are none
  -- of its business.
  begins_at  bigint not null default 0,
  since      timestamptz,
  -- How many ranges a rescale under way will leave.
  rescale_to integer check (rescale_to between 1 and 1024),
  created_at timestamptz not null default now()
);

create table {schema}.projection_range (
  name          text collate "C" not null references {schema}.projection,
  version       integer not null,
  slice_from    smallint not null,
  slice_to      smallint not null check (slice_to >= slice_from),
  -- The revision of the handler that writes this version.
  revision      integer not null,
  -- The checkpoint: every event at or below it was handled, skipped or parked.
  seq_no        bigint not null check (seq_no >= 0),
  -- Up to here, outside effects have happened before.
  mark          bigint not null default 0,
  -- Not beyond this, while ranges or versions are brought together.
  barrier       bigint,
  epoch         bigint not null default nextval('{schema}.projection_epoch'),
  owner         uuid,
  -- What is wrong, with which event, and whether it is given up until `run`.
  error         text,
  failed_seq_no bigint,
  halted        boolean not null default false,
  changed_at    timestamptz not null default clock_timestamp(),
  primary key (name, version, slice_from)
) with (fillfactor = 50);

-- kind: 'parked' could not be handled; 'behind' came after a parked event of
-- its entity; 'skipped' was left out for good.
create table {schema}.dead_letter (
  name       text collate "C" not null,
  version    integer not null,
  seq_no     bigint not null,
  type_name  text collate "C" not null,
  entity_id  {id_column} not null,
  slice      smallint not null,
  kind       text collate "C" not null
             check (kind in ('parked', 'behind', 'skipped')),
  error      text not null,
  created_at timestamptz not null default now(),
  primary key (name, version, seq_no)
);

create index dead_letter_by_entity
  on {schema}.dead_letter (name, version, type_name, entity_id, seq_no)
  where kind <> 'skipped';

-- Makes p_count rows that share the slices evenly.
create function {schema}.make_ranges(
  p_name text, p_version integer, p_revision integer, p_count integer,
  p_seq_no bigint, p_mark bigint) returns void
language sql volatile as $body$
  insert into {schema}.projection_range
    (name, version, slice_from, slice_to, revision, seq_no, mark)
  select p_name, p_version, i * 1024 / p_count, (i + 1) * 1024 / p_count - 1,
         p_revision, p_seq_no, p_mark
    from generate_series(0, p_count - 1) as i
$body$;

-- Says that runners are alive for p_lease from now.
create function {schema}.heartbeat(
  p_ids uuid[], p_hosts text[], p_lease interval) returns void
language plpgsql volatile as $body$
begin
  insert into {schema}.runner (id, host, alive_until)
  select id, host, clock_timestamp() + p_lease
    from unnest(p_ids, p_hosts) as r (id, host)
   order by id
      on conflict (id) do update set alive_until = excluded.alive_until;
end
$body$;

-- Takes a range that nobody who is alive holds. Returns no row where there is
-- none to take.
create function {schema}.acquire_range(
  p_name text, p_version integer, p_from integer, p_revision integer,
  p_owner uuid)
returns table (slice_to smallint, epoch bigint, seq_no bigint, mark bigint,
               barrier bigint, parked boolean)
language plpgsql volatile as $body$
begin
  -- Against a pause that is under way.
  perform from {schema}.projection as p
    where p.name = p_name and not p.paused for share;
  if not found then
    return;
  end if;
  -- Of processes that ended without a word.
  delete from {schema}.runner as o
   where o.alive_until < clock_timestamp() - interval '1 day';
  -- Only who has the row sees whether its owner, who may have got it and come to
  -- life a moment ago, is alive.
  perform from {schema}.projection_range as r
    where r.name = p_name and r.version = p_version and r.slice_from = p_from
      for update;
  return query
  update {schema}.projection_range as r
     set owner = p_owner, epoch = nextval('{schema}.projection_epoch')
   where r.name = p_name and r.version = p_version and r.slice_from = p_from
     and r.revision = p_revision and not r.halted
     and (r.owner is null or r.owner = p_owner
          or not exists (select from {schema}.runner as o
                          where o.id = r.owner
                            and o.alive_until > clock_timestamp()))
  returning r.slice_to, r.epoch, r.seq_no, r.mark, r.barrier,
            exists (select from {schema}.dead_letter as d
                     where d.name = p_name and d.version = p_version
                       and d.kind <> 'skipped');
end
$body$;

-- Moves a checkpoint: the last statement of every handler transaction. Raises
-- EV006 where the range is no longer the caller's.
create function {schema}.advance_range(
  p_name text, p_version integer, p_from integer, p_epoch bigint,
  p_old bigint, p_new bigint) returns void
language plpgsql volatile as $body$
begin
  update {schema}.projection_range
     set seq_no = p_new, error = null, failed_seq_no = null,
         changed_at = clock_timestamp()
   where name = p_name and version = p_version and slice_from = p_from
     and epoch = p_epoch and seq_no = p_old and p_new >= p_old
     and p_new <= coalesce(barrier, p_new);
  if not found then
    raise exception using
      errcode = 'EV006',
      message = 'this range of the projection has been taken over or changed';
  end if;
end
$body$;

-- Locks a projection against every other change and returns it. Raises EV008
-- where there is none, and EV007 where p_quiet and a rescale or rebuild is under
-- way.
create function {schema}.lock_projection(p_name text, p_quiet boolean)
returns {schema}.projection
language plpgsql volatile as $body$
declare
  v_found {schema}.projection;
begin
  select * into v_found from {schema}.projection
    where name = p_name for update;
  if not found then
    raise exception using
      errcode = 'EV008', message = 'there is no projection "' || p_name || '"';
  end if;
  if p_quiet and (v_found.building is not null
                  or v_found.rescale_to is not null) then
    raise exception using
      errcode = 'EV007',
      message = 'projection "' || p_name || '" is being '
                || case when v_found.building is null then 'rescaled'
                        else 'rebuilt' end || '; try again when that is done';
  end if;
  return v_found;
end
$body$;

-- Takes all ranges of a projection from their owners.
create function {schema}.fence_projection(p_name text) returns void
language sql volatile as $body$
  update {schema}.projection_range
     set epoch = nextval('{schema}.projection_epoch'), owner = null
   where name = p_name
$body$;

create function {schema}.pause_projection(p_name text, p_paused boolean)
returns void
language plpgsql volatile as $body$
begin
  perform {schema}.lock_projection(p_name, false);
  update {schema}.projection set paused = p_paused where name = p_name;
  if p_paused then
    perform {schema}.fence_projection(p_name);
  end if;
end
$body$;

-- Lets halted ranges run again.
create function {schema}.unhalt_projection(p_name text) returns void
language plpgsql volatile as $body$
begin
  perform {schema}.lock_projection(p_name, false);
  update {schema}.projection_range
     set halted = false, error = null, failed_seq_no = null,
         epoch = nextval('{schema}.projection_epoch'), owner = null
   where name = p_name and halted;
end
$body$;

-- Begins anew where it began; the caller may have moved that. The caller empties
-- the view in the same transaction.
create function {schema}.reset_projection(p_name text)
returns void
language plpgsql volatile as $body$
declare
  v_projection {schema}.projection;
begin
  v_projection := {schema}.lock_projection(p_name, true);
  update {schema}.projection_range
     set seq_no = v_projection.begins_at, mark = greatest(mark, seq_no),
         error = null,
         failed_seq_no = null, halted = false,
         epoch = nextval('{schema}.projection_epoch'), owner = null,
         changed_at = clock_timestamp()
   where name = p_name;
  delete from {schema}.dead_letter where name = p_name;
end
$body$;

-- Moves the range of a slice from p_old to p_new, leaving out the one event
-- p_new, and says so in dead_letter. Returns whether it stood at p_old.
create function {schema}.skip_event(
  p_name text, p_version integer, p_from integer, p_old bigint, p_new bigint,
  p_type text, p_id {id_type}, p_slice integer) returns boolean
language plpgsql volatile as $body$
begin
  update {schema}.projection_range
     set seq_no = p_new, error = null, failed_seq_no = null, halted = false,
         epoch = nextval('{schema}.projection_epoch'), owner = null,
         changed_at = clock_timestamp()
   where name = p_name and version = p_version and slice_from = p_from
     and seq_no = p_old and p_new > p_old
     and p_new <= coalesce(barrier, p_new);
  if not found then
    return false;
  end if;
  insert into {schema}.dead_letter
    (name, version, seq_no, type_name, entity_id, slice, kind, error)
  values (p_name, p_version, p_new, p_type, p_id, p_slice, 'skipped',
          'skipped on request');
  return true;
end
$body$;

-- Begins to share the slices among p_count ranges: brings all to one number.
create function {schema}.rescale_projection(p_name text, p_count integer)
returns void
language plpgsql volatile as $body$
begin
  perform {schema}.lock_projection(p_name, true);
  update {schema}.projection set rescale_to = p_count where name = p_name;
  perform {schema}.fence_projection(p_name);
  -- Also beyond the marks, so that these no longer differ.
  update {schema}.projection_range
     set barrier = (select greatest(max(seq_no), max(mark))
                      from {schema}.projection_range where name = p_name)
   where name = p_name;
end
$body$;

-- Ends a rescale once all ranges are at the barrier. Returns whether it is
-- ended.
create function {schema}.finish_rescale(p_name text) returns boolean
language plpgsql volatile as $body$
declare
  v_projection {schema}.projection;
  v_at         bigint;
  v_revision   integer;
begin
  v_projection := {schema}.lock_projection(p_name, false);
  if v_projection.rescale_to is null then
    return true;
  end if;
  perform from {schema}.projection_range where name = p_name for update;
  perform from {schema}.projection_range
    where name = p_name and seq_no <> barrier;
  if found then
    return false;
  end if;
  select max(barrier), max(revision) into v_at, v_revision
    from {schema}.projection_range where name = p_name;
  delete from {schema}.projection_range where name = p_name;
  perform {schema}.make_ranges(p_name, v_projection.version, v_revision,
                               v_projection.rescale_to, v_at, 0);
  update {schema}.projection set rescale_to = null where name = p_name;
  return true;
end
$body$;

-- Begins to build the next version beside the live one, in as many ranges, and
-- returns it. Its events are all marked as seen before.
create function {schema}.rebuild_projection(
  p_name text, p_revision integer) returns integer
language plpgsql volatile as $body$
declare
  v_projection {schema}.projection;
begin
  v_projection := {schema}.lock_projection(p_name, true);
  update {schema}.projection set building = version + 1 where name = p_name;
  delete from {schema}.dead_letter
   where name = p_name and version = v_projection.version + 1;
  insert into {schema}.projection_range
    (name, version, slice_from, slice_to, revision, seq_no, mark)
  select name, version + 1, slice_from, slice_to,
         coalesce(p_revision, revision), v_projection.begins_at,
         9223372036854775807
    from {schema}.projection_range
   where name = p_name and version = v_projection.version;
  return v_projection.version + 1;
end
$body$;

-- Stops the live version where it is, so that the next one can catch up, which
-- it does range by range: while a version is built, ranges stay as they are, and
-- none of the new ones goes beyond its counterpart.
create function {schema}.approach_swap(p_name text) returns void
language plpgsql volatile as $body$
declare
  v_projection {schema}.projection;
begin
  v_projection := {schema}.lock_projection(p_name, false);
  if v_projection.building is not null then
    update {schema}.projection_range
       set barrier = seq_no, owner = null,
           epoch = nextval('{schema}.projection_epoch')
     where name = p_name and version = v_projection.version
       and barrier is null;
  end if;
end
$body$;

-- Makes the next version the live one where both have handled the same events;
-- the caller swaps the view in the same transaction. Returns the version that
-- was live, null where it is too early or somebody else has done it.
create function {schema}.swap_projection(p_name text) returns integer
language plpgsql volatile as $body$
declare
  v_projection {schema}.projection;
begin
  v_projection := {schema}.lock_projection(p_name, false);
  if v_projection.building is null then
    return null;
  end if;
  perform from {schema}.projection_range where name = p_name for update;
  perform from {schema}.projection_range as old
     join {schema}.projection_range as new
       on new.name = old.name and new.version = v_projection.building
          and new.slice_from = old.slice_from
    where old.name = p_name and old.version = v_projection.version
      and new.seq_no <> old.seq_no;
  if found then
    return null;
  end if;
  update {schema}.projection_range as new
     set mark = greatest(old.mark, old.seq_no), owner = null,
         epoch = nextval('{schema}.projection_epoch')
    from {schema}.projection_range as old
   where new.name = p_name and new.version = v_projection.building
     and old.name = p_name and old.version = v_projection.version
     and old.slice_from = new.slice_from;
  delete from {schema}.projection_range
   where name = p_name and version = v_projection.version;
  delete from {schema}.dead_letter
   where name = p_name and version = v_projection.version;
  update {schema}.projection
     set version = building, building = null where name = p_name;
  return v_projection.version;
end
$body$;

-- Who holds the frontier back: the transactions of appends under way, oldest
-- first. pid is null for a prepared transaction, whose name is in query.
create function {schema}.frontier_holders()
returns table (pid integer, age double precision, state text, query text)
language sql volatile as $body$
  select a.pid, extract(epoch from clock_timestamp()
                        - coalesce(a.xact_start, x.prepared))::float8,
         coalesce(a.state, 'prepared transaction'),
         coalesce(left(a.query, 200), x.gid)
    from pg_locks as l
    left join pg_stat_activity as a on a.pid = l.pid
    -- A prepared transaction goes on holding the lock on its own number.
    left join pg_locks as t
      on l.pid is null and t.pid is null and t.locktype = 'transactionid'
         and t.mode = 'ExclusiveLock'
         and t.virtualtransaction = l.virtualtransaction
    left join pg_prepared_xacts as x on x.transaction = t.transactionid
   where l.locktype = 'advisory'
     and l.database = (select oid from pg_database
                        where datname = current_database())
     and l.classid = '{schema}.event'::regclass::oid
     and l.objsubid = 2
     and l.granted
   order by 2 desc nulls last
$body$;

-- The highest number in the journal or in a checkpoint: repair_sequence must
-- not leave the sequence below what a projection has passed.
create or replace function {schema}.highest_seq_no() returns bigint
language sql stable set enable_seqscan = off set jit = off as $body$
  with recursive types as (
    select min(type_name) as type_name from {schema}.event
    union all
    select (select min(e.type_name) from {schema}.event as e
             where e.type_name > t.type_name)
      from types as t
     where t.type_name is not null)
  select greatest(
    coalesce(max((select max(e.seq_no) from {schema}.event as e
                   where e.type_name = t.type_name)), 0),
    (select coalesce(max(seq_no), 0) from {schema}.projection_range))
    from types as t
$body$;

-- What a sequence that was told its next number (ALTER .. RESTART, setval(..,
-- false)) has before it. Such a one has no last value yet. Without jit: where
-- scans are made to look expensive, the server would compile this one.
create function {schema}.number_before_first() returns bigint
language sql volatile set jit = off as $body$
  select last_value - 1 from {schema}.event_seq_no_seq
$body$;

-- The highest number drawn so far.
create function {schema}.last_number() returns bigint
language plpgsql volatile as $body$
declare
  v_last bigint;
begin
  v_last := pg_sequence_last_value('{schema}.event_seq_no_seq'::regclass);
  if v_last is null then
    v_last := {schema}.number_before_first();
  end if;
  return v_last;
end
$body$;

-- As before, but also right for such a sequence.
create or replace function {schema}.hold_frontier() returns void
language plpgsql volatile as $body$
begin
  perform pg_advisory_xact_lock_shared(
    {schema}.frontier_class(),
    ({schema}.last_number() & 2147483647)::integer);
end
$body$;

-- As before, but also right for such a sequence.
create or replace function {schema}.frontier() returns bigint
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
  v_last := {schema}.last_number();
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
