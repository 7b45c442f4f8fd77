-- What operators do to a journal, what keeps them from it, and what they ask of
-- the programs that run on it.

-- Who did what, when, with which arguments. A row without an outcome belongs to
-- something that is under way, or whose client died.
create table {schema}.operation (
  id        bigint not null generated always as identity primary key,
  began_at  timestamptz not null default clock_timestamp(),
  ended_at  timestamptz,
  -- As the server knows them, and as the client calls itself.
  role      text not null default session_user,
  client    text not null,
  verb      text not null,
  arguments jsonb not null,
  outcome   text check (outcome in ('done', 'failed')),
  detail    text not null default ''
);

create function {schema}.begin_operation(
  p_client text, p_verb text, p_arguments jsonb)
returns bigint
language sql volatile as $body$
  insert into {schema}.operation (client, verb, arguments)
  values (p_client, p_verb, p_arguments)
  returning id
$body$;

create function {schema}.end_operation(
  p_id bigint, p_outcome text, p_detail text)
returns void
language sql volatile as $body$
  update {schema}.operation
     set ended_at = clock_timestamp(), outcome = p_outcome, detail = p_detail
   where id = p_id
$body$;

-- What operators ask of a program that runs a projection, since only that knows
-- its handler and its view. Whoever looks first takes it, and answers.
create table {schema}.projection_request (
  id         bigint not null generated always as identity primary key,
  name       text collate "C" not null references {schema}.projection,
  what       text collate "C" not null
             check (what in ('reset', 'rebuild', 'replay')),
  -- For a reset: where to begin, all null for where it began.
  after      bigint,
  since      timestamptz,
  from_now   boolean not null default false,
  -- For a replay: whose dead letters.
  type_name  text collate "C",
  entity_id  {id_column},
  asked_at   timestamptz not null default clock_timestamp(),
  -- Nobody takes it after that.
  expires_at timestamptz not null,
  taken_at   timestamptz,
  ended_at   timestamptz,
  -- What went wrong; null where nothing did.
  error      text,
  -- How many dead letters were replayed.
  count      bigint not null default 0
);

create index projection_request_open
  on {schema}.projection_request (name, id) where taken_at is null;

-- Takes the next request to a projection, if there is one.
create function {schema}.take_request(p_name text)
returns setof {schema}.projection_request
language sql volatile as $body$
  update {schema}.projection_request
     set taken_at = clock_timestamp()
   where id = (select r.id from {schema}.projection_request as r
                where r.name = p_name and r.taken_at is null
                  and r.expires_at > clock_timestamp()
                order by r.id
                limit 1
                  for update skip locked)
  returning *
$body$;

create function {schema}.end_request(
  p_id bigint, p_error text, p_count bigint)
returns void
language sql volatile as $body$
  update {schema}.projection_request
     set ended_at = clock_timestamp(), error = p_error, count = p_count
   where id = p_id
$body$;

-- Returns why the events of an entity up to p_version cannot be removed, null
-- where nothing is in the way. p_ignore names projections that may lose them.
create function {schema}.removal_obstacle(
  p_type text, p_id {id_type}, p_version bigint, p_ignore text[])
returns text
language plpgsql volatile set enable_seqscan = off set jit = off as $body$
declare
  v_seq_no   bigint;
  v_slice    smallint;
  v_frontier bigint;
  v_found    text;
begin
  -- J4: the last version has the highest number.
  select seq_no, slice into v_seq_no, v_slice from {schema}.event
   where type_name = p_type and entity_id = p_id and version <= p_version
   order by version desc limit 1;
  if not found then
    return 'it has no events up to version ' || p_version;
  end if;

  v_frontier := {schema}.frontier();
  if v_seq_no > v_frontier then
    return 'event ' || v_seq_no || ' is above the frontier, ' || v_frontier;
  end if;

  select 'projection "' || r.name || '" has read up to ' || r.seq_no
         || ' only, and event ' || v_seq_no || ' is among those to go'
    into v_found
    from {schema}.projection_range as r
   where v_slice between r.slice_from and r.slice_to and r.seq_no < v_seq_no
     and r.name <> all (p_ignore)
   order by r.seq_no limit 1;
  if found then
    return v_found;
  end if;

  select 'event ' || d.seq_no || ' is a dead letter of projection "' || d.name
         || '"'
    into v_found
    from {schema}.dead_letter as d
   where d.type_name = p_type and d.entity_id = p_id and d.kind <> 'skipped'
     and d.seq_no <= v_seq_no and d.name <> all (p_ignore)
   order by d.seq_no limit 1;
  return v_found;
end
$body$;

-- Removes all events and snapshots of an entity, whose last version is
-- p_version, and leaves a horizon that refuses new ones. Returns how many events
-- there were. Raises EV007 where the entity has moved on.
create function {schema}.archive_entity(
  p_type text, p_id {id_type}, p_version bigint)
returns bigint
language plpgsql volatile set enable_seqscan = off set jit = off as $body$
declare
  v_count bigint;
begin
  -- An append under way may have seen that there is no horizon yet.
  lock table {schema}.event in share row exclusive mode;
  if {schema}.current_version(p_type, p_id) <> p_version then
    raise exception using
      errcode = 'EV007',
      message = 'the entity is not at version ' || p_version || ' any more';
  end if;
  insert into {schema}.horizon (type_name, entity_id, version, archived)
  values (p_type, p_id, p_version, true)
  on conflict (type_name, entity_id) do update
     set version = excluded.version, archived = true,
         created_at = excluded.created_at;
  perform set_config('evented.allow_change', 'on', true);
  delete from {schema}.event_tag as t using {schema}.event as e
   where e.type_name = p_type and e.entity_id = p_id
     and t.type_name = e.type_name and t.tag = any (e.tags)
     and t.seq_no = e.seq_no;
  delete from {schema}.event where type_name = p_type and entity_id = p_id;
  get diagnostics v_count = row_count;
  perform set_config('evented.allow_change', 'off', true);
  delete from {schema}.snapshot where type_name = p_type and entity_id = p_id;
  return v_count;
end
$body$;
