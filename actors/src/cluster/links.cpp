#include "cluster/links.hpp"

#include "cluster/scout.hpp"
#include "cluster/tls.hpp"

#include <evented/actors/error.hpp>

#include <caf/abstract_actor.hpp>
#include <caf/io/middleman.hpp>
#include <caf/openssl/manager.hpp>
#include <caf/openssl/publish.hpp>

#include <arpa/inet.h>
#include <set>

// Besides seam.hpp, the one place that knows which CAF this is: connecting without
// a blocked thread goes through an actor whose messages have changed.

namespace evented::detail::links {

namespace {

#if EVENTED_CAF < 1800
using connect_atom = caf::connect_atom;

constexpr auto connect_word = caf::connect_atom::value;
#else
constexpr auto connect_word = caf::connect_atom_v;
#endif

caf::io::middleman_actor connector(caf::actor_system& sys) {
  if (encrypted(sys))
    return sys.openssl_manager().actor_handle();
  return sys.middleman().actor_handle();
}

} // namespace

std::string caf_version() {
  return std::to_string(CAF_MAJOR_VERSION) + "."
         + std::to_string(CAF_MINOR_VERSION) + "."
         + std::to_string(CAF_PATCH_VERSION);
}

void encrypt(caf::actor_system_config& cfg, const node_security& how) {
  cfg.load<tls>();
#if EVENTED_CAF < 1800
  cfg.openssl_certificate = how.certificate.string();
  cfg.openssl_key = how.key.string();
  cfg.openssl_cafile = how.authority.string();
  cfg.openssl_passphrase = how.passphrase.reveal();
#else
  cfg.set("caf.openssl.certificate", how.certificate.string());
  cfg.set("caf.openssl.key", how.key.string());
  cfg.set("caf.openssl.cafile", how.authority.string());
  cfg.set("caf.openssl.passphrase", std::string{how.passphrase.reveal()});
#endif
}

bool encrypted(caf::actor_system& sys) {
  return sys.has_openssl_manager()
         && sys.openssl_manager().authentication_enabled();
}

bool is_loopback(const std::string& address) {
  if (address == "localhost")
    return true;
  in_addr four{};
  if (::inet_pton(AF_INET, address.c_str(), &four) == 1)
    return (ntohl(four.s_addr) >> 24) == 127;
  in6_addr six{};
  return ::inet_pton(AF_INET6, address.c_str(), &six) == 1
         && IN6_IS_ADDR_LOOPBACK(&six);
}

std::uint16_t publish(caf::actor_system& sys, const caf::actor& whom,
                      const std::string& address, std::uint16_t port) {
  auto bound = encrypted(sys)
                 ? caf::openssl::publish(whom, port, address.c_str(), true)
                 : sys.middleman().publish(whom, port, address.c_str(), true);
  if (!bound)
    throw error(errc::invalid_options, "cannot listen on " + address + ":"
                                         + std::to_string(port) + ": "
                                         + evented::render(sys, bound.error()));
  return *bound;
}

void unpublish(caf::actor_system& sys, const caf::actor& whom,
               std::uint16_t port) {
  // With TLS, too, the middleman owns the port.
  sys.middleman().unpublish(whom, port);
}

void connect(caf::event_based_actor* self, const std::string& address,
             std::uint16_t port, std::chrono::milliseconds timeout,
             std::function<void(caf::actor)> done,
             std::function<void(const caf::error&)> failed) {
  auto go = [=, done = std::move(done)] {
    seam::request(
      self, connector(self->system()), timeout,
      [done, failed](const caf::node_id&, caf::strong_actor_ptr& found,
                     const std::set<std::string>&) {
        if (found == nullptr)
          failed(evented::make_error(errc::unreachable,
                                     "nothing is published there"));
        else
          done(caf::actor_cast<caf::actor>(std::move(found)));
      },
      [failed](const caf::error& err) { failed(err); }, connect_word, address,
      port);
  };
  scout(self, address, port, timeout, std::move(go), failed);
}

void on_loss(const caf::actor& link, std::function<void()> f) {
  caf::actor_cast<caf::abstract_actor*>(link)->attach_functor(
    [f = std::move(f)](const caf::error&) { f(); });
}

} // namespace evented::detail::links
