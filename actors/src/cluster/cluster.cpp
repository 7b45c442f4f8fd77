#include "cluster/links.hpp"
#include "cluster/node_actor.hpp"
#include "cluster/router.hpp"

#include <evented/actors/cluster.hpp>

#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>

#include <array>
#include <ctime>
#include <unistd.h>

namespace evented {

namespace {

using std::chrono::milliseconds;

/// Returns the time by a clock that goes on while the machine sleeps, too.
std::chrono::steady_clock::time_point boot_time() {
  timespec now{};
  ::clock_gettime(CLOCK_BOOTTIME, &now);
  return std::chrono::steady_clock::time_point{
    std::chrono::seconds{now.tv_sec} + std::chrono::nanoseconds{now.tv_nsec}};
}

/// Returns what an operator recognises this process by.
std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0)
    name = {'?'};
  return std::string{name.data()} + ":" + std::to_string(::getpid());
}

void check(caf::actor_system& sys, const cluster_options& options) {
  auto fail
    = [](const std::string& what) { throw error(errc::invalid_options, what); };
  if (!sys.has_middleman())
    fail("a node needs CAF's middleman: call use_nodes(cfg) before the actor "
         "system is made");
  if (options.take_over < milliseconds{500})
    fail("cluster_options::take_over: at least 500 ms");
  if (options.routing_timeout.count() <= 0 || options.max_waiting == 0
      || options.max_in_flight == 0 || options.max_message_bytes == 0)
    fail("cluster_options: routing_timeout, max_waiting, max_in_flight and "
         "max_message_bytes are more than nothing");
  if (!detail::links::is_loopback(options.address)
      && !detail::links::encrypted(sys) && !options.allow_plain)
    fail("the address " + options.address
         + " can be reached by other machines, and without TLS everybody there "
           "can send commands: give use_nodes(cfg, ..) the certificates of the "
           "cluster, or say allow_plain");
}

} // namespace

void use_nodes(caf::actor_system_config& cfg, const node_security& how) {
  cfg.load<caf::io::middleman>();
  // Both are off by default, and then a connection whose other end has vanished
  // is never noticed.
  cfg.set(option_name("middleman.heartbeat-interval"),
          caf::timespan{std::chrono::milliseconds{500}});
  cfg.set(option_name("middleman.connection-timeout"),
          caf::timespan{std::chrono::milliseconds{3000}});
  if (how.empty())
    return;
  for (auto& file : {how.certificate, how.key, how.authority})
    if (std::error_code ec; !std::filesystem::is_regular_file(file, ec))
      throw error(errc::invalid_options,
                  "node_security: there is no file \"" + file.string() + "\"");
  detail::links::encrypt(cfg, how);
}

class cluster::impl {
public:
  impl(caf::actor_system& sys, const journal& where,
       const cluster_options& options)
    : sys_(sys), options_(options) {
    check(sys, options);
    lease_ = std::make_shared<detail::lease_clock>(
      options.lease_clock ? options.lease_clock : boot_time);
    detail::node_settings settings;
    settings.where = where.store();
    settings.lease = lease_;
    settings.owned = owned_;
    settings.interval = options.take_over / 10;
    settings.owns_entities = options.owns_entities;
    auto& self = settings.self;
    self.cluster = options.cluster;
    self.name = options.name;
    self.incarnation = uuid::v4();
    self.protocol = "evented " + std::to_string(detail::wire_version) + ", CAF "
                    + detail::links::caf_version();
    self.program = host_name();
    self.shards = options.shards;
    self.lease = options.take_over * 6 / 10;
    self.address = options.public_address.empty() ? options.address
                                                  : options.public_address;
    node_ = sys.spawn<detail::node_actor>(settings);
    try {
      port_ = detail::links::publish(sys, node_, options.address, options.port);
      self.port = options.public_port == 0 ? port_ : options.public_port;
      where.store()->connect_membership()->join(self);
    } catch (...) {
      end();
      throw;
    }
    seam::anon_send(node_, detail::node_joined{self.port});
  }

  impl(const impl&) = delete;
  impl& operator=(const impl&) = delete;

  ~impl() {
    leave(options_.take_over);
    end();
  }

  bool leave(milliseconds limit) {
    auto result = false;
    caf::scoped_actor self{sys_};
    seam::request_and_wait(
      self, node_, limit, [&](control::done) { result = true; },
      [](const caf::error&) {}, detail::node_leave{});
    return result;
  }

  [[nodiscard]] cluster_state state() const {
    cluster_state result;
    caf::scoped_actor self{sys_};
    seam::request_and_wait(
      self, node_, caf::infinite,
      [&](cluster_state& x) { result = std::move(x); },
      [](const caf::error&) {}, detail::node_look{});
    return result;
  }

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

  [[nodiscard]] std::function<bool(const slice_range&)> runs_here() const {
    return [lease = lease_, owned = owned_,
            shards = options_.shards](const slice_range& x) {
      return lease->valid() && owned->owns(shard_of(x.first, shards));
    };
  }

  caf::actor spawn_router(detail::router_settings settings) const {
    settings.routing_timeout = options_.routing_timeout;
    settings.shards = options_.shards;
    settings.max_waiting = options_.max_waiting;
    settings.max_in_flight = options_.max_in_flight;
    settings.max_message_bytes = options_.max_message_bytes;
    return sys_.spawn<detail::router>(std::move(settings), lease_, node_);
  }

  void attach(const std::string& type_name, const caf::actor& router,
              const caf::actor& region) const {
    seam::anon_send(router, detail::region_ready{region});
    seam::anon_send(node_, detail::node_has{type_name, router, region});
  }

private:
  void end() {
    if (port_ != 0)
      detail::links::unpublish(sys_, node_, port_);
    caf::anon_send_exit(node_, caf::exit_reason::user_shutdown);
    node_ = nullptr;
  }

  caf::actor_system& sys_;
  cluster_options options_;
  std::shared_ptr<detail::lease_clock> lease_;
  std::shared_ptr<detail::ownership> owned_
    = std::make_shared<detail::ownership>();
  caf::actor node_;
  std::uint16_t port_ = 0;
};

cluster::cluster(caf::actor_system& sys, const journal& where,
                 const cluster_options& options)
  : impl_(std::make_unique<impl>(sys, where, options)) {
  // nop
}

cluster::~cluster() = default;

bool cluster::leave(milliseconds limit) {
  return impl_->leave(limit);
}

cluster_state cluster::state() const {
  return impl_->state();
}

std::uint16_t cluster::port() const noexcept {
  return impl_->port();
}

std::function<bool(const slice_range&)> cluster::runs_here() const {
  return impl_->runs_here();
}

caf::actor cluster::spawn_router(detail::router_settings settings) const {
  return impl_->spawn_router(std::move(settings));
}

void cluster::attach(const std::string& type_name, const caf::actor& router,
                     const caf::actor& region) const {
  impl_->attach(type_name, router, region);
}

} // namespace evented
