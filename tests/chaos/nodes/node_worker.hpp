#pragma once

#include <string>
#include <vector>

namespace evented::test {

/// Is a node of a cluster of accounts, and runs its share of a view of them, the
/// table `balance` of the schema. Its arguments: where the database is, the
/// schema, its name, the port that the others connect to (0: the one where it
/// listens), after how many milliseconds shards are taken over, at which address it
/// listens (default: 127.0.0.1), and for TLS the files with its certificate, its key
/// and the certificate of its authority. Says "port N" with the port at which it
/// listens. Hands its shards over and ends at SIGTERM.
int run_node(const std::vector<std::string>& args);

} // namespace evented::test
