#pragma once

// The view: a table with all tasks, which a projection keeps.

#include "task.hpp"

namespace starter {

inline void make_view(const evented::journal& journal) {
  evented::sql(journal, "create table if not exists task_list ("
                        "id uuid primary key, title text not null, "
                        "finished_by text)");
}

/// Called for each event, in order, in the transaction that also stores how far
/// the projection is.
inline void keep_view(const evented::recorded<task>& e,
                      evented::transaction& tx) {
  if (auto* x = e.as<added>())
    tx.send("insert into task_list (id, title) values ($1, $2)", e.id,
            x->title);
  else if (auto* y = e.as<finished>())
    tx.send("update task_list set finished_by = $2 where id = $1", e.id, y->by);
}

} // namespace starter
