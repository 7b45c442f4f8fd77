#include "chaos/nemesis/faults.hpp"

namespace evented::test::nemesis {

using namespace std::literals;

namespace {

constexpr auto terminate
  = "select pg_terminate_backend(pid) from pg_stat_activity where "
    "backend_type = 'client backend' and application_name <> 'observer'";

/// As many as a server of the tests takes.
constexpr auto most_connections = 100;

} // namespace

void add_server_faults(faults& to, const bed& at) {
  auto start = [](bed& on) { on.start_server(); };
  if (at.where().server != nullptr) {
    to.push_back({"kill_server", 0ms, 500ms,
                  [](bed& on, dice&) { on.where().server->kill(); }, start});
    to.push_back(
      {"stop_server_fast", 0ms, 1500ms,
       [](bed& on, dice&) { on.where().server->stop(dev::shutdown::fast); },
       start});
    to.push_back({"stop_server_immediate", 0ms, 500ms,
                  [](bed& on, dice&) {
                    on.where().server->stop(dev::shutdown::immediate);
                  },
                  start});
  }
  to.push_back({"terminate_all_backends", 0ms, 300ms,
                [](bed& on, dice&) { observer{on.url()}.query(terminate); }});
  to.push_back({"terminate_some_backends", 0ms, 300ms, [](bed& on, dice& from) {
                  observer{on.url()}.query(std::string{terminate}
                                           + " and pid % 3 = "
                                           + std::to_string(from.below(3)));
                }});
  to.push_back({"take_up_connections", 300ms, 1500ms,
                [](bed& on, dice&) {
                  observer{on.url()}.query(terminate);
                  for (auto i = 0; i < most_connections; ++i)
                    try {
                      on.sessions().emplace("connection " + std::to_string(i),
                                            foreign_session{on.url()});
                    } catch (const std::runtime_error&) {
                      return;
                    }
                },
                [](bed& on) {
                  std::erase_if(on.sessions(), [](auto& x) {
                    return x.first.starts_with("connection");
                  });
                }});
  if (at.where().server != nullptr && at.where().volume != nullptr)
    // The server gives up where it cannot write its log.
    to.push_back({"fill_disk", 500ms, 2000ms,
                  [](bed& on, dice&) { on.where().volume->fill(); },
                  [](bed& on) {
                    on.where().volume->clear();
                    on.start_server();
                  }});
}

} // namespace evented::test::nemesis
