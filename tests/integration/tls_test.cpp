// TLS to PostgreSQL: nothing is said to a server that cannot prove who it is.

#include "support/journals.hpp"
#include "support/server.hpp"
#include "support/wait.hpp"

#include <evented/dev/postgres.hpp>
#include <evented/sql_error.hpp>
#include <evented/store.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>

using namespace std::literals;

using namespace evented;
using evented::test::raw_connection;

namespace fs = std::filesystem;

namespace {

/// A server with a certificate for "db.test", and two authorities of which the
/// first has signed it. Set up once: keys take a while.
class tls_server {
public:
  tls_server()
    : address_("127." + std::to_string(1 + getpid() / 250 % 250) + "."
               + std::to_string(1 + getpid() % 250) + ".1"),
      server_({.directory = {},
               .fsync = false,
               .settings = {{"listen_addresses", address_}}}) {
    auto dir = server_.data_directory();
    for (auto* name : {"ca", "other"})
      openssl("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
              "-days 2 -subj /CN="s
              + name + " -keyout " + file(name, "key") + " -out "
              + file(name, "crt"));
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "
            "/CN=db.test -keyout "
            + file("server", "key") + " -out " + file("server", "csr"));
    std::ofstream{file("server", "ext")} << "subjectAltName=DNS:db.test\n";
    openssl("x509 -req -days 2 -CAcreateserial -in " + file("server", "csr")
            + " -CA " + file("ca", "crt") + " -CAkey " + file("ca", "key")
            + " -extfile " + file("server", "ext") + " -out "
            + file("server", "crt"));
    // The server reads them as its own user.
    struct stat owner {};
    EXPECT_EQ(stat(dir.c_str(), &owner), 0);
    for (auto* extension : {"key", "crt"}) {
      auto path = file("server", extension);
      EXPECT_EQ(chown(path.c_str(), owner.st_uid, owner.st_gid), 0);
      EXPECT_EQ(chmod(path.c_str(), 0600), 0);
    }
    std::ofstream{dir / "pg_hba.conf", std::ios::app}
      << "hostssl all all 127.0.0.0/8 trust\n";
    raw_connection admin{server_.url()};
    admin.exec("alter system set ssl_cert_file = '" + file("server", "crt")
               + "'");
    admin.exec("alter system set ssl_key_file = '" + file("server", "key")
               + "'");
    with_tls(true);
  }

  /// Switches TLS on or off, for connections from now on.
  void with_tls(bool on) {
    raw_connection admin{server_.url()};
    admin.exec("alter system set ssl = "s + (on ? "on" : "off"));
    admin.exec("select pg_reload_conf()");
    EXPECT_TRUE(test::wait_until([&] {
      return raw_connection{server_.url()}.exec("show ssl")
             == (on ? "on" : "off");
    }));
  }

  /// The certificate of an authority: "ca", or "other", which the server does
  /// not know.
  std::string file(const std::string& name,
                   const std::string& extension) const {
    return (server_.data_directory() / ("tls_" + name + "." + extension))
      .string();
  }

  std::string url(const std::string& host) const {
    return "host=" + host + " hostaddr=" + address_
           + " port=5432 dbname=postgres user=" + server_.user();
  }

private:
  static void openssl(const std::string& arguments) {
    EXPECT_EQ(std::system(("openssl " + arguments + " 2>/dev/null").c_str()), 0)
      << arguments;
  }

  std::string address_;
  dev::postgres server_;
};

tls_server& remote() {
  static tls_server instance;
  return instance;
}

class tls : public testing::Test {
protected:
  tls() {
    options.url = remote().url("db.test");
    options.schema = "tls";
    // What a server elsewhere gets unless someone says otherwise.
    options.sslmode = "verify-full";
    options.password = "hunter2";
  }

  /// Says which authority the client trusts.
  void trust(const std::string& name) {
    options.url
      = options.url.reveal() + " sslrootcert=" + remote().file(name, "crt");
  }

  /// Tries to open the journal and returns why that fails.
  std::string refused() {
    try {
      open_store(options);
    } catch (const error& e) {
      EXPECT_EQ(e.code(), errc::unavailable);
      EXPECT_EQ(std::string{e.what()}.find("hunter2"), std::string::npos);
      return e.what();
    }
    ADD_FAILURE() << "a connection was made";
    return {};
  }

  journal_options options;
};

TEST_F(tls, is_used_with_a_server_that_proves_who_it_is) {
  trust("ca");
  auto session = open_store(options)->connect();
  auto found = session->query(
    "select ssl from pg_stat_ssl where pid = pg_backend_pid()", {});
  EXPECT_EQ(found[0][0], "t");
}

TEST_F(tls, refuses_a_certificate_of_another_authority) {
  trust("other");
  EXPECT_NE(refused().find("certificate verify failed"), std::string::npos);
}

TEST_F(tls, refuses_a_certificate_of_another_host) {
  options.url = remote().url("db2.test");
  trust("ca");
  EXPECT_NE(refused().find("db2.test"), std::string::npos);
}

TEST_F(tls, refuses_to_trust_without_an_authority) {
  options.url = options.url.reveal() + " sslrootcert=/nonexistent";
  EXPECT_NE(refused().find("root certificate"), std::string::npos);
}

TEST_F(tls, is_not_given_up_for_a_server_without) {
  trust("ca");
  remote().with_tls(false);
  EXPECT_NE(refused().find("does not support SSL"), std::string::npos);
  remote().with_tls(true);
}

TEST_F(tls, may_be_weakened_by_who_says_so) {
  options.sslmode = "require";
  auto session = open_store(options)->connect();
  EXPECT_EQ(session->query("select 1", {})[0][0], "1");
}

} // namespace
