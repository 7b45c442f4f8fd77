#pragma once

// Unique by a table: a listener writes the address into it in the transaction of
// the event, and vetoes the command where it is there already.
//
// Certain at once, and little code. But the table is in the journal's database, and
// each event of this type takes a statement more in its append.

#include <evented/actors.hpp>

#include <string>
#include <string_view>

namespace registration {

struct join {
  std::string email;
};

struct taken {
  std::string email;
};

struct joined {
  std::string email;

  template <class Archive>
  void serialize(Archive& archive) {
    archive(CEREAL_NVP(email));
  }
};

struct member {
  static constexpr std::string_view type_name = "member";

  using id_type = std::string;
  using commands = evented::commands<join>;
  using events = evented::events<joined>;

  std::string email;

  void apply(const joined& e) { email = e.email; }
};

inline evented::decision<member> handle(const join& cmd, const member& state) {
  if (state.email == cmd.email)
    return evented::accept();
  return evented::accept(joined{cmd.email});
}

inline void make_table(const evented::journal& journal) {
  evented::sql(journal, "create table if not exists member_email ("
                        "email text primary key, member text not null unique)");
}

/// Waits for whoever is about to write the same address.
inline evented::verdict<taken> claim(const evented::committing<member>& x,
                                     evented::transaction& tx) {
  auto& email = x.as<joined>()->email;
  tx.exec("delete from member_email where member = $1", x.id);
  auto done = tx.exec("insert into member_email values ($1, $2) "
                      "on conflict do nothing",
                      email, x.id);
  if (done.affected() == 0)
    return evented::reject(taken{email});
  return evented::pass{};
}

template <class Inspector>
auto inspect(Inspector& f, join& x) {
  return evented::inspect_object(f, x, "registration::join",
                                 evented::field("email", x.email));
}

template <class Inspector>
auto inspect(Inspector& f, taken& x) {
  return evented::inspect_object(f, x, "registration::taken",
                                 evented::field("email", x.email));
}

} // namespace registration
