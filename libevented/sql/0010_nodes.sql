-- Nodes: which processes form a cluster, and who owns which share of the entities.
--
-- N1  A shard has at most one owner, and its epoch grows with every change of it.
-- N2  Nobody but the owner takes a shard from a node that is alive: whose
--     alive_until is in the future by the clock of this database.
-- N3  Who changes owners or members holds the lock of the cluster alone; who only
--     says that it is alive shares it. So no node is alive and taken from at once.

create table {schema}.cluster (
  name     text collate "C" primary key,
  -- How many shards share the slices evenly.
  shards   smallint not null check (shards between 1 and 1024),
  -- Grows with every change of an owner.
  revision bigint not null default 1
);

create table {schema}.node (
  cluster     text collate "C" not null references {schema}.cluster,
  name        text collate "C" not null,
  -- Another one for each start of the process.
  incarnation uuid not null unique,
  -- Where the other nodes connect to.
  address     text not null,
  port        integer not null check (port between 0 and 65535),
  -- What it speaks with them, and which program it is.
  protocol    text not null,
  program     text not null,
  state       text collate "C" not null
              check (state in ('joining', 'up', 'leaving')),
  joined_at   timestamptz not null default clock_timestamp(),
  alive_until timestamptz not null,
  primary key (cluster, name)
) with (fillfactor = 50);

create table {schema}.shard (
  cluster    text collate "C" not null references {schema}.cluster,
  shard      smallint not null check (shard between 0 and 1023),
  -- The incarnation of a node; null, or one that is not there any more: free.
  owner      uuid,
  epoch      bigint not null default 0,
  changed_at timestamptz not null default clock_timestamp(),
  primary key (cluster, shard)
) with (fillfactor = 50);

-- Takes the lock of a cluster until the end of the transaction. The first key
-- keeps it apart from the frontier's.
create function {schema}.lock_cluster(p_cluster text, p_alone boolean)
returns void
language plpgsql volatile as $body$
declare
  v_oid   bigint := '{schema}.node'::regclass::oid::bigint;
  v_class integer;
begin
  v_class := case when v_oid > 2147483647 then v_oid - 4294967296 else v_oid end;
  if p_alone then
    perform pg_advisory_xact_lock(v_class, hashtext(p_cluster));
  else
    perform pg_advisory_xact_lock_shared(v_class, hashtext(p_cluster));
  end if;
end
$body$;

-- Makes a node a member, without any shard yet. The one that was there under its
-- name is none any more: a process that starts again need not wait for itself to
-- die. Returns why it cannot be one, null where nothing is in the way.
create function {schema}.join_cluster(
  p_cluster text, p_shards integer, p_name text, p_incarnation uuid,
  p_address text, p_port integer, p_protocol text, p_program text,
  p_lease interval)
returns text
language plpgsql volatile as $body$
declare
  v_shards integer;
  v_other  {schema}.node;
begin
  perform {schema}.lock_cluster(p_cluster, true);
  insert into {schema}.cluster (name, shards) values (p_cluster, p_shards)
      on conflict (name) do nothing;
  select shards into v_shards from {schema}.cluster where name = p_cluster;
  if v_shards <> p_shards then
    return 'the cluster "' || p_cluster || '" has ' || v_shards
           || ' shards, and this node asks for ' || p_shards;
  end if;
  select * into v_other from {schema}.node
   where cluster = p_cluster and name <> p_name and protocol <> p_protocol
     and alive_until > clock_timestamp()
   limit 1;
  if found then
    return 'the node "' || v_other.name || '" (' || v_other.program
           || ') speaks ' || v_other.protocol || ', and this one ('
           || p_program || ') speaks ' || p_protocol
           || '; they do not understand each other, so stop those nodes first';
  end if;
  -- Of processes that ended without a word.
  delete from {schema}.node
   where cluster = p_cluster
     and alive_until < clock_timestamp() - interval '1 day';
  insert into {schema}.shard (cluster, shard)
  select p_cluster, i from generate_series(0, p_shards - 1) as i
      on conflict (cluster, shard) do nothing;
  insert into {schema}.node (cluster, name, incarnation, address, port, protocol,
                             program, state, alive_until)
  values (p_cluster, p_name, p_incarnation, p_address, p_port, p_protocol,
          p_program, 'joining', clock_timestamp() + p_lease)
      on conflict (cluster, name) do update
     set incarnation = excluded.incarnation, address = excluded.address,
         port = excluded.port, protocol = excluded.protocol,
         program = excluded.program, state = excluded.state,
         joined_at = excluded.joined_at, alive_until = excluded.alive_until;
  return null;
end
$body$;

-- The signs of life of a node, and all that it does about shards, in one call:
-- says that it is alive for p_lease from now, hands p_give over to the nodes p_to
-- (to nobody where one of these is not alive), and takes those of p_take that
-- nobody alive owns.
--
-- Returns a row for each member that is alive, and one for each shard, unless
-- nothing has changed since p_seen. Returns no row where the node is no member
-- any more.
create function {schema}.sync_node(
  p_cluster text, p_incarnation uuid, p_state text, p_lease interval,
  p_give smallint[], p_to uuid[], p_take smallint[], p_seen bigint)
returns table (revision bigint, name text, incarnation uuid, address text,
               port integer, program text, state text, shard smallint,
               epoch bigint)
language plpgsql volatile as $body$
declare
  v_given    bigint;
  v_taken    bigint;
  v_revision bigint;
begin
  perform {schema}.lock_cluster(
    p_cluster, cardinality(p_give) + cardinality(p_take) > 0);
  update {schema}.node as n
     set alive_until = clock_timestamp() + p_lease, state = p_state
   where n.cluster = p_cluster and n.incarnation = p_incarnation;
  if not found then
    return;
  end if;
  if cardinality(p_give) + cardinality(p_take) > 0 then
    update {schema}.shard as s
       set owner = n.incarnation, epoch = s.epoch + 1,
           changed_at = clock_timestamp()
      from unnest(p_give, p_to) as g (shard, heir)
      left join {schema}.node as n
        on n.cluster = p_cluster and n.incarnation = g.heir
           and n.state = 'up' and n.alive_until > clock_timestamp()
     where s.cluster = p_cluster and s.shard = g.shard
       and s.owner = p_incarnation;
    get diagnostics v_given = row_count;
    update {schema}.shard as s
       set owner = p_incarnation, epoch = s.epoch + 1,
           changed_at = clock_timestamp()
     where s.cluster = p_cluster and s.shard = any (p_take)
       and s.owner is distinct from p_incarnation
       and not exists (select from {schema}.node as n
                        where n.incarnation = s.owner
                          and n.alive_until > clock_timestamp());
    get diagnostics v_taken = row_count;
    if v_given + v_taken > 0 then
      update {schema}.cluster as c set revision = c.revision + 1
       where c.name = p_cluster;
    end if;
  end if;
  select c.revision into v_revision from {schema}.cluster as c
   where c.name = p_cluster;
  return query
  select v_revision, n.name, n.incarnation, n.address, n.port, n.program, n.state,
         null::smallint, null::bigint
    from {schema}.node as n
   where n.cluster = p_cluster and n.alive_until > clock_timestamp()
   order by n.name;
  if v_revision <> p_seen then
    return query
    select v_revision, null::text, s.owner, null::text, null::integer, null::text,
           null::text, s.shard, s.epoch
      from {schema}.shard as s
     where s.cluster = p_cluster
     order by s.shard;
  end if;
end
$body$;

-- Ends a membership; what it owned is free at once.
create function {schema}.leave_cluster(p_cluster text, p_incarnation uuid)
returns void
language plpgsql volatile as $body$
begin
  perform {schema}.lock_cluster(p_cluster, true);
  delete from {schema}.node
   where cluster = p_cluster and incarnation = p_incarnation;
  update {schema}.shard
     set owner = null, epoch = epoch + 1, changed_at = clock_timestamp()
   where cluster = p_cluster and owner = p_incarnation;
  if found then
    update {schema}.cluster set revision = revision + 1 where name = p_cluster;
  end if;
end
$body$;
