#include "cluster/tls.hpp"

#if EVENTED_CAF < 1800

#include <caf/io/basp_broker.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/middleman_actor_impl.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/doorman_impl.hpp>
#include <caf/io/network/interfaces.hpp>
#include <caf/io/network/stream_impl.hpp>
#include <caf/openssl/session.hpp>
#include <caf/send.hpp>

#include <memory>
#include <openssl/err.h>
#include <string>
#include <utility>
#include <vector>

// Stands in for CAF 0.17's own module, which offers no place to clear the queue.

namespace evented::detail {

namespace {

namespace net = caf::io::network;

using caf::openssl::session_ptr;
using net::native_socket;

/// How the bytes of a link are read and written.
class policy {
public:
  explicit policy(session_ptr session) : session_(std::move(session)) {
    // nop
  }

  net::rw_state read_some(std::size_t& result, native_socket fd, void* buf,
                          std::size_t len) {
    ::ERR_clear_error();
    return session_->read_some(result, fd, buf, len);
  }

  net::rw_state write_some(std::size_t& result, native_socket fd,
                           const void* buf, std::size_t len) {
    ::ERR_clear_error();
    return session_->write_some(result, fd, buf, len);
  }

  bool must_read_more(native_socket fd, std::size_t threshold) {
    return session_->must_read_more(fd, threshold);
  }

private:
  session_ptr session_;
};

/// A link.
class scribe : public caf::io::scribe {
public:
  scribe(net::default_multiplexer& mpx, native_socket fd, session_ptr session)
    : caf::io::scribe(net::conn_hdl_from_socket(fd)),
      stream_(mpx, fd, std::move(session)) {
    // nop
  }

  void configure_read(caf::io::receive_policy::config how) override {
    stream_.configure_read(how);
    if (launched_)
      return;
    launched_ = true;
    stream_.start(this);
    // The handshake may have something to write.
    stream_.force_empty_write(this);
  }

  void ack_writes(bool enable) override { stream_.ack_writes(enable); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  void flush() override { stream_.flush(this); }

  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    detach(&stream_.backend(), false);
  }

  std::string addr() const override {
    auto result = net::remote_addr_of_fd(stream_.fd());
    return result ? *result : std::string{};
  }

  std::uint16_t port() const override {
    auto result = net::remote_port_of_fd(stream_.fd());
    return result ? *result : std::uint16_t{0};
  }

  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }

private:
  bool launched_ = false;
  net::stream_impl<policy> stream_;
};

/// Makes a link of a connection. Null where the handshake fails at once.
caf::io::scribe_ptr make_link(caf::actor_system& sys, native_socket fd,
                              bool accepted) {
  auto& mpx = static_cast<net::default_multiplexer&>(sys.middleman().backend());
  net::nonblocking(fd, true);
  ::ERR_clear_error();
  auto session = caf::openssl::make_session(sys, fd, accepted);
  if (session == nullptr) {
    net::close_socket(fd);
    return nullptr;
  }
  return caf::make_counted<scribe>(mpx, fd, std::move(session));
}

/// Where others connect to.
class doorman : public net::doorman_impl {
public:
  using net::doorman_impl::doorman_impl;

  bool new_connection() override {
    if (detached())
      return false;
    auto made
      = make_link(parent()->system(), acceptor_.accepted_socket(), true);
    if (made == nullptr)
      return false;
    auto handle = made->hdl();
    parent()->add_scribe(std::move(made));
    return caf::io::doorman::new_connection(&acceptor_.backend(), handle);
  }
};

class tls_actor : public caf::io::middleman_actor_impl {
public:
  using caf::io::middleman_actor_impl::middleman_actor_impl;

  const char* name() const override { return "evented.tls"; }

protected:
  caf::expected<caf::io::scribe_ptr> connect(const std::string& host,
                                             std::uint16_t port) override {
    auto fd = net::new_tcp_connection(host, port);
    if (!fd)
      return std::move(fd.error());
    auto made = make_link(system(), *fd, false);
    if (made == nullptr)
      return caf::make_error(caf::sec::cannot_connect_to_node);
    return made;
  }

  caf::expected<caf::io::doorman_ptr>
  open(std::uint16_t port, const char* address, bool reuse) override {
    auto fd = net::new_tcp_acceptor_impl(port, address, reuse);
    if (!fd)
      return std::move(fd.error());
    auto& mpx
      = static_cast<net::default_multiplexer&>(system().middleman().backend());
    return caf::io::doorman_ptr{caf::make_counted<doorman>(mpx, *fd)};
  }
};

/// CAF's module with another actor in it.
class tls_module : public caf::actor_system::module {
public:
  explicit tls_module(caf::actor_system& sys)
    : sys_(sys), caf_(caf::openssl::manager::make(sys, {})) {
    // nop
  }

  void start() override {
    caf_->start();
    // Its owner shows it only, and stops whatever is there.
    auto& slot = const_cast<caf::io::middleman_actor&>(
      static_cast<caf::openssl::manager*>(caf_->subtype_ptr())->actor_handle());
    caf::anon_send_exit(slot, caf::exit_reason::kill);
    slot = sys_.spawn<tls_actor, caf::detached + caf::hidden>(
      sys_.middleman().named_broker<caf::io::basp_broker>(caf::atom("BASP")));
  }

  void stop() override { caf_->stop(); }
  void init(caf::actor_system_config& cfg) override { caf_->init(cfg); }
  id_t id() const override { return caf_->id(); }
  void* subtype_ptr() override { return caf_->subtype_ptr(); }

private:
  caf::actor_system& sys_;
  std::unique_ptr<caf::actor_system::module> caf_;
};

} // namespace

caf::actor_system::module* tls::make(caf::actor_system& sys,
                                     caf::detail::type_list<>) {
  return new tls_module{sys};
}

} // namespace evented::detail

#endif // EVENTED_CAF < 1800
