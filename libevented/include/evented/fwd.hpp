#pragma once

#include <cstdint>

namespace evented {

// -- classes ------------------------------------------------------------------

class connection_lost;
class error;
class event_listener;
class rows;
class secret;
class sql_error;
class store;
class store_session;
class transaction;

// -- structs ------------------------------------------------------------------

struct append_request;
struct append_step;
struct journal_entry;
struct journal_options;
struct load_request;
struct load_result;
struct new_event;
struct stored_event;
struct uncommitted_event;
struct uuid;

// -- enumerations -------------------------------------------------------------

enum class append_status : std::uint8_t;
enum class codec : std::uint8_t;
enum class errc : std::uint8_t;
enum class id_kind : std::uint8_t;
enum class pooler : std::uint8_t;

} // namespace evented
